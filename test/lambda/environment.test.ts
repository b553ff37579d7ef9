import { describe, expect, it } from 'vitest';
import { parseEnvironment } from '../../functions/lambda/environment.ts';
import { defaultLimits, defaultOidc } from '../../functions/ports/limits.ts';

const whole = {
  SLUICE_PREFIX: 'sluice',
  SLUICE_TABLE: 'sluice-control-plane-Records-1A2B',
  SLUICE_BUCKET: 'sluice-artifacts-1a2b',
  SLUICE_STATE_MACHINE_ARN: 'arn:aws:states:eu-central-1:123456789012:stateMachine:sluice-deploy',
  SLUICE_JOB_MACHINE_ARN: 'arn:aws:states:eu-central-1:123456789012:stateMachine:sluice-jobs',
};

describe('the environment of a function', () => {
  it('is what the stack sets, and the log level is info where nobody says', () => {
    expect(parseEnvironment({ ...whole, PATH: '/bin' })).toEqual({
      prefix: 'sluice',
      table: 'sluice-control-plane-Records-1A2B',
      bucket: 'sluice-artifacts-1a2b',
      stateMachineArn: 'arn:aws:states:eu-central-1:123456789012:stateMachine:sluice-deploy',
      jobMachineArn: 'arn:aws:states:eu-central-1:123456789012:stateMachine:sluice-jobs',
      logLevel: 'info',
      version: 'unknown',
      limits: defaultLimits,
      oidc: defaultOidc,
    });
    expect(parseEnvironment({ ...whole, LOG_LEVEL: 'debug', SLUICE_VERSION: '1.2.3' })).toMatchObject({
      logLevel: 'debug',
      version: '1.2.3',
    });
    const china = 'arn:aws-cn:states:cn-north-1:123456789012:stateMachine:sluice-deploy';
    expect(parseEnvironment({ ...whole, SLUICE_STATE_MACHINE_ARN: china }).stateMachineArn).toBe(china);
  });

  it('has the limits and the issuer that the stack sets, and the defaults for the rest', () => {
    const set = {
      SLUICE_MAX_OBJECT_BYTES: '1073741824',
      SLUICE_RATE_PER_MINUTE: '60',
      SLUICE_OIDC_ISSUER: 'https://ci.example.com',
    };
    expect(parseEnvironment({ ...whole, ...set })).toMatchObject({
      limits: { ...defaultLimits, objectBytes: 1024 ** 3, requestsPerMinute: 60 },
      oidc: { issuer: 'https://ci.example.com', audience: 'sluice' },
    });
    for (const wrong of ['0', '-1', '1e3', '1.5', 'many'])
      expect(() => parseEnvironment({ ...whole, SLUICE_MAX_APP_BYTES: wrong })).toThrow(
        'SLUICE_MAX_APP_BYTES: expected a whole number of at least 1',
      );
  });

  it('names every variable that is missing or wrong, and what was expected there', () => {
    const { SLUICE_TABLE: _, ...without } = whole;
    expect(() => parseEnvironment({ ...without, SLUICE_PREFIX: 'Sluice!', LOG_LEVEL: 'loud' })).toThrow(
      'The environment is not valid. ' +
        'SLUICE_PREFIX: expected 1 to 16 lower-case letters, digits and inner dashes, a letter first. ' +
        'SLUICE_TABLE is missing: expected the name of the DynamoDB table. ' +
        'LOG_LEVEL: expected debug, info, warn, error or silent',
    );
  });

  it.each(Object.keys(whole))('does without a wrong %s, and does not repeat it', (name) => {
    const wrong = 'a value with a secret in it';
    expect(() => parseEnvironment({ ...whole, [name]: wrong })).toThrow(`${name}: expected`);
    expect(() => parseEnvironment({ ...whole, [name]: wrong })).not.toThrow(wrong);
    expect(() => parseEnvironment({ ...whole, [name]: '' })).toThrow(`${name}: expected`);
  });
});
