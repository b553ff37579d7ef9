import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { beforeEach, describe, expect, it } from 'vitest';
import { quickCalls } from '../../functions/aws/client.ts';
import { rotatingSecret } from '../../functions/aws/rotating-secret.ts';
import { rotatedInput } from '../../functions/aws/secret-requests.ts';
import { awsError, scriptAws, testAwsConfig } from '../support/scripted-aws.ts';

const hour = 3_600_000;
let now: number;
let asked: { SecretId: string; VersionStage: string }[];
/** By label: what it says and when it was written. */
let versions: Partial<Record<string, { value: string; at: number }>>;
let fault: (() => void) | undefined;
let read: () => Promise<readonly string[]>;

beforeEach(() => {
  now = Date.parse('2026-11-20T12:00:00Z');
  asked = [];
  versions = { AWSCURRENT: { value: 'first', at: now - 90 * 24 * hour } };
  fault = undefined;
  const client = scriptAws(new SecretsManagerClient({ ...quickCalls, ...testAwsConfig }), (operation, input) => {
    if (operation !== 'GetSecretValue') throw new Error(`asked for ${operation}`);
    asked.push(input);
    fault?.();
    const found = versions[input.VersionStage];
    if (!found) throw awsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret value.");
    return { SecretString: found.value, CreatedDate: new Date(found.at), VersionStages: [input.VersionStage] };
  });
  read = rotatingSecret({ client, prefix: 'sluice', clock: () => now }, 'control/webhook-secret');
});

/** As `put-secret-value` moves the labels. */
function rotate(value: string): void {
  versions = { AWSPREVIOUS: versions['AWSCURRENT'], AWSCURRENT: { value, at: now } };
}

describe("one of the control plane's own secrets", () => {
  it('is asked for by its name and label', () => {
    expect(rotatedInput('sluice', 'control/webhook-secret', 'AWSPREVIOUS')).toEqual({
      SecretId: 'sluice/control/webhook-secret',
      VersionStage: 'AWSPREVIOUS',
    });
  });

  it('is read once in a minute', async () => {
    expect(await read()).toEqual(['first']);
    now += 59_000;
    expect(await read()).toEqual(['first']);
    expect(asked.map(({ VersionStage }) => VersionStage)).toEqual(['AWSCURRENT']);
    now += 1000;
    await read();
    expect(asked).toHaveLength(2);
  });

  it('is both within a minute of a rotation, and the new one alone a day later', async () => {
    await read();
    rotate('second');
    now += 60_000;
    expect(await read()).toEqual(['second', 'first']);
    now += 24 * hour;
    expect(await read()).toEqual(['second']);
  });

  it('is no more the old one at once when it is rotated twice, as after a leak', async () => {
    rotate('second');
    rotate('third');
    expect(await read()).toEqual(['third', 'second']);
  });

  it('is the one value after an installation, which has none before it', async () => {
    versions = { AWSCURRENT: { value: 'made', at: now } };
    expect(await read()).toEqual(['made']);
  });

  it('is read again by the SDK when a call is throttled', async () => {
    let left = 1;
    fault = () => {
      if (left-- > 0) throw awsError('ThrottlingException', 'Rate exceeded');
    };
    expect(await read()).toEqual(['first']);
    expect(asked).toHaveLength(2);
  });

  it('is an error when there is none, or it is empty: nobody is let in', async () => {
    versions = {};
    await expect(read()).rejects.toThrow('There is no secret control/webhook-secret');
    versions = { AWSCURRENT: { value: '', at: now } };
    await expect(read()).rejects.toThrow('There is no secret control/webhook-secret');
  });

  it('is not remembered as missing: asked again, it is read', async () => {
    versions = {};
    await read().catch(() => undefined);
    versions = { AWSCURRENT: { value: 'there', at: now - 48 * hour } };
    expect(await read()).toEqual(['there']);
  });

  it('is no error of a caller when it may not be read', async () => {
    fault = () => {
      throw awsError('AccessDeniedException', 'User is not authorized');
    };
    await expect(read()).rejects.toMatchObject({ name: 'AccessDeniedException' });
  });
});
