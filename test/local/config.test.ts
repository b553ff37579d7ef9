import { resolve } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../local/config.ts';
import { defaultLimits, defaultOidc } from '../../functions/ports/limits.ts';
import { Problem } from '../../functions/runtime/errors.ts';

const problemOf = (env: Record<string, string>): Problem => {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('The configuration was accepted.');
};

describe('the configuration', () => {
  it('has a default for everything', () => {
    expect(readConfig({})).toEqual({
      port: 4600,
      host: '127.0.0.1',
      dataFolder: resolve('.sluice'),
      adminToken: undefined,
      webhookSecret: undefined,
      engine: 'auto',
      logLevel: 'info',
      logFormat: 'auto',
      fetchAllowPrivate: false,
      ingressPort: undefined,
      buildConcurrency: undefined,
      limits: defaultLimits,
      oidc: defaultOidc,
    });
  });

  it('is read from every variable', () => {
    const env = {
      PORT: '0',
      HOST: '::1',
      SLUICE_DATA: '/var/lib/sluice',
      SLUICE_ADMIN_TOKEN: 'a-token-of-enough-length',
      SLUICE_WEBHOOK_SECRET: 'a-secret-of-enough-length',
      SLUICE_ENGINE: 'process',
      LOG_LEVEL: 'silent',
      LOG_FORMAT: 'text',
      SLUICE_FETCH_ALLOW_PRIVATE: 'true',
      SLUICE_INGRESS_PORT: '8080',
      SLUICE_BUILD_CONCURRENCY: '2',
      SLUICE_RATE_PER_MINUTE: '60',
      SLUICE_MAX_OBJECT_BYTES: '1000000000000',
      SLUICE_MAX_BUILD_BYTES: '2',
      SLUICE_MAX_BUILD_OBJECTS: '3',
      SLUICE_MAX_APP_BYTES: '4',
      SLUICE_OIDC_ISSUER: 'http://127.0.0.1:9000/',
      SLUICE_OIDC_AUDIENCE: 'https://sluice.example.com',
    };
    expect(readConfig(env)).toEqual({
      port: 0,
      host: '::1',
      dataFolder: '/var/lib/sluice',
      adminToken: 'a-token-of-enough-length',
      webhookSecret: 'a-secret-of-enough-length',
      engine: 'process',
      logLevel: 'silent',
      logFormat: 'text',
      fetchAllowPrivate: true,
      ingressPort: 8080,
      buildConcurrency: 2,
      limits: {
        requestsPerMinute: 60,
        objectBytes: 1_000_000_000_000,
        buildBytes: 2,
        buildObjects: 3,
        appBytes: 4,
      },
      oidc: { issuer: 'http://127.0.0.1:9000', audience: 'https://sluice.example.com' },
    });
  });

  it.each([
    'http://token.example.com',
    'token.example.com',
    'https://token.example.com?a=b',
    'https://token.example.com#a',
    'https://user:word@token.example.com',
    'file:///etc/passwd',
    'http://127.0.0.1.example.com',
  ])('refuses the issuer %j', (issuer) => {
    const expected = 'an https URL, or an http one of this machine, without query or fragment';
    expect(problemOf({ SLUICE_OIDC_ISSUER: issuer }).issues).toEqual([{ field: 'SLUICE_OIDC_ISSUER', expected }]);
  });

  it.each(['https://token.example.com/tenant', 'http://localhost:1', 'http://[::1]:2', 'http://127.0.0.9'])(
    'takes the issuer %j',
    (issuer) => {
      expect(readConfig({ SLUICE_OIDC_ISSUER: issuer }).oidc.issuer).toBe(issuer);
    },
  );

  it('names every wrong variable at once, with what was expected of it', () => {
    const problem = problemOf({ PORT: '70000', HOST: 'no host', LOG_LEVEL: 'loud', SLUICE_ENGINE: 'podman' });
    expect(problem.issues).toEqual([
      { field: 'PORT', expected: 'a whole number from 0 to 65535' },
      { field: 'HOST', expected: 'an IP address or a host name' },
      { field: 'SLUICE_ENGINE', expected: 'auto, docker or process' },
      { field: 'LOG_LEVEL', expected: 'debug, info, warn, error or silent' },
    ]);
    expect(problem.message).toContain('PORT must be a whole number from 0 to 65535; HOST must be');
  });

  it.each(['', 'too-short', 'has a blank inside it', `${'x'.repeat(20)}\n`, 'ümlauts-are-refused'])(
    'refuses the token %j and does not repeat it',
    (token) => {
      for (const name of ['SLUICE_ADMIN_TOKEN', 'SLUICE_WEBHOOK_SECRET']) {
        const problem = problemOf({ [name]: token });
        expect(problem.issues.map(({ field }) => field)).toEqual([name]);
        expect(JSON.stringify([problem.message, problem.issues])).not.toContain(token.trim() || '""');
      }
    },
  );

  it('takes a variable set to nothing as not set', () => {
    expect(readConfig({ PORT: '', LOG_LEVEL: '', SLUICE_DATA: '' })).toEqual(readConfig({}));
  });

  it.each(['-1', '1.5', '0x50', ' 80', '1e3', '65536', 'http'])('refuses the port %j', (port) => {
    expect(problemOf({ PORT: port }).issues).toHaveLength(1);
  });

  it('gives a configuration or a Problem, whatever the variables hold', () => {
    const names = [
      'PORT',
      'HOST',
      'SLUICE_DATA',
      'SLUICE_ENGINE',
      'LOG_LEVEL',
      'LOG_FORMAT',
      'SLUICE_BUILD_CONCURRENCY',
    ];
    const attempts = fc.check(
      fc.property(fc.dictionary(fc.constantFrom(...names), fc.string()), (env) => {
        try {
          return readConfig(env).port >= 0;
        } catch (error) {
          return error instanceof Problem;
        }
      }),
    );
    expect(attempts).toMatchObject({ failed: false });
  });
});
