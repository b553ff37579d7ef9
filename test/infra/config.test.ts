import { describe, expect, expectTypeOf, it } from 'vitest';
import { settingsOf, type ControlPlaneConfig } from '../../infra/config.ts';
import { stageNamed, stages } from '../../infra/stages.ts';

const certificateArn = 'arn:aws:acm:eu-central-1:111111111111:certificate/0a1b2c3d-0000-4000-8000-000000000000';

describe('the configuration', () => {
  it('needs nothing but a prefix', () => {
    expect(settingsOf({ prefix: 'sluice' })).toEqual({
      prefix: 'sluice',
      env: undefined,
      domain: undefined,
      throttle: { requestsPerSecond: 50, burst: 100 },
      logDays: 30,
      logLevel: 'info',
      alarmEmail: undefined,
      concurrency: { api: undefined, workflow: undefined, reconcile: 1 },
      builds: {
        architecture: 'x86_64',
        imageSize: 'medium',
        bundleSize: 'small',
        concurrent: undefined,
        queuedMinutes: 60,
        vpc: undefined,
        buildKitImage: undefined,
        sbomScanner: undefined,
      },
      limits: {},
      oidc: undefined,
      accessLogBucket: undefined,
      clusters: [],
    });
  });

  const wrong: readonly (readonly [string, Omit<ControlPlaneConfig, 'prefix'> & { prefix?: string }, string])[] = [
    ['a prefix in capitals', { prefix: 'Sluice' }, 'prefix: expected 1 to 16 lower-case letters'],
    ['a prefix that ends in a dash', { prefix: 'sluice-' }, 'prefix: expected'],
    ['an account that is a name', { account: 'acme', region: 'eu-central-1' }, 'account: expected the 12 digits'],
    ['a region that is none', { account: '111111111111', region: 'Frankfurt' }, 'region: expected an AWS region'],
    ['an account alone', { account: '111111111111' }, 'account and region together'],
    ['a region alone', { region: 'eu-central-1' }, 'account and region together'],
    ['an address without a host', { alarmEmail: 'ops' }, 'alarmEmail: expected an e-mail address'],
    ['a bucket in capitals', { accessLogBucket: 'Logs' }, 'accessLogBucket: expected the name of a bucket'],
    [
      'a cluster by its ARN',
      { clusters: ['arn:aws:ecs:eu-central-1:111111111111:cluster/web'] },
      'clusters[0]: expected',
    ],
    ['no requests', { throttle: { requestsPerSecond: 0, burst: 1 } }, 'throttle.requestsPerSecond: expected'],
    ['half a burst', { throttle: { requestsPerSecond: 1, burst: 0.5 } }, 'throttle.burst: expected'],
    ['a share of none', { concurrency: { api: 0 } }, 'concurrency.api: expected'],
    ['a domain with a scheme', { domain: { name: 'https://a.example.com', certificateArn } }, 'domain.name: expected'],
    ['a certificate by its id', { domain: { name: 'a.example.com', certificateArn: '0a1b' } }, 'domain.certificateArn'],
    [
      'a zone in which the domain is not',
      { domain: { name: 'a.example.com', hostedZone: { id: 'Z0ABC', name: 'ample.com' } } },
      'domain.hostedZone.name: expected the zone in which',
    ],
    [
      'a zone by its name',
      { domain: { name: 'a.example.com', hostedZone: { id: 'example.com', name: 'example.com' } } },
      'domain.hostedZone.id: expected',
    ],
    ['no size for an object', { limits: { objectBytes: 0 } }, 'limits.objectBytes: expected a whole number from 1'],
    [
      'objects that no step can verify in its time',
      { limits: { objectBytes: 11 * 1024 ** 3 } },
      'limits.objectBytes: expected',
    ],
    [
      'an issuer without TLS',
      { oidc: { issuer: 'http://ci.example.com', audience: 'sluice' } },
      'oidc.issuer: expected an https URL',
    ],
    ['an audience of blanks', { oidc: { issuer: 'https://ci.example.com', audience: ' ' } }, 'oidc.audience: expected'],
    ['too short a queue', { builds: { queuedMinutes: 4 } }, 'builds.queuedMinutes: expected'],
    ['no builds at all', { builds: { concurrent: 0 } }, 'builds.concurrent: expected'],
    [
      'a VPC by its name',
      { builds: { vpc: { id: 'main', subnetIds: ['subnet-0a1b2c3d'] } } },
      'builds.vpc.id: expected',
    ],
    [
      'a subnet by its name',
      { builds: { vpc: { id: 'vpc-0a1b2c3d', subnetIds: ['subnet-0a1b2c3d', 'private'] } } },
      'builds.vpc.subnetIds[1]: expected the id of a subnet',
    ],
  ];

  it.each(wrong)('with %s is refused in a sentence', (_name, config, sentence) => {
    expect(() => settingsOf({ prefix: 'sluice', ...config })).toThrow(sentence);
  });

  // CDK reads it without a compiler, which would refuse each of these.
  it.each([
    ['a number of days that CloudWatch does not know', { logDays: 31 }, 'logDays: expected one of 1, 3, 5'],
    ['a level that is none', { logLevel: 'loud' }, 'logLevel: expected one of debug, info, warn, error'],
    ['another processor', { builds: { architecture: 'x86' } }, 'builds.architecture: expected one of arm64, x86_64'],
    ['another size', { builds: { imageSize: 'huge' } }, 'builds.imageSize: expected one of small, medium, large'],
    ['another size of bundles', { builds: { bundleSize: 'XL' } }, 'builds.bundleSize: expected one of small'],
    ['an image with a blank in its name', { builds: { buildKitImage: 'moby buildkit' } }, 'builds.buildKitImage'],
    ['a misspelt field', { throttel: {} }, 'throttel: expected one of prefix, account'],
    ['a misspelt field of builds', { builds: { size: 'large' } }, 'builds.size: expected one of architecture'],
    ['a misspelt share', { concurrency: { events: 1 } }, 'concurrency.events: expected one of api'],
  ] as const)('with %s is refused where nothing compiles it', (_name, config, sentence) => {
    expect(() => settingsOf({ prefix: 'sluice', ...config } as ControlPlaneConfig)).toThrow(sentence);
  });

  it('names everything that is wrong at once', () => {
    expect(() => settingsOf({ prefix: '', region: 'here' })).toThrow(
      /^The configuration of the control plane is wrong: prefix: .*; region: .*; region: /,
    );
  });

  it('does not compile where a word is wrong', () => {
    expectTypeOf<{ prefix: string; logDays: 8 }>().not.toExtend<ControlPlaneConfig>();
    expectTypeOf<{ prefix: string; logLevel: 'loud' }>().not.toExtend<ControlPlaneConfig>();
    expectTypeOf<{ prefix: string; builds: { architecture: 'arm' } }>().not.toExtend<ControlPlaneConfig>();
    expectTypeOf<{ prefix: string; domain: { name: string } }>().not.toExtend<ControlPlaneConfig>();
    expectTypeOf<{
      prefix: string;
      builds: { vpc: { id: string; subnetIds: [] } };
    }>().not.toExtend<ControlPlaneConfig>();
    expectTypeOf<{ prefix: string; logDays: 30 }>().toExtend<ControlPlaneConfig>();
  });
});

describe('the stages', () => {
  it('are each right', () => {
    for (const config of Object.values(stages)) expect(settingsOf(config).prefix).toBe(config.prefix);
  });

  it('share no name, so that they may be in one account', () => {
    const prefixes = Object.values(stages).map(({ prefix }) => prefix);
    expect(new Set(prefixes).size).toBe(prefixes.length);
  });

  it('are taken by name, the first where none is named', () => {
    expect(stageNamed()).toBe(stages.production);
    expect(stageNamed('staging')).toBe(stages.staging);
    expect(() => stageNamed('prod')).toThrow('stage: expected one of production, staging');
  });
});
