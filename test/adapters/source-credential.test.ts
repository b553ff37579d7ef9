import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { expect, it } from 'vitest';
import { quickCalls } from '../../functions/aws/client.ts';
import { readSourceCredential } from '../../functions/aws/source-credential.ts';
import { awsError, scriptAws, testAwsConfig, type AwsScript } from '../support/scripted-aws.ts';

const name = 'apps/web/source/deploy-key';
async function read(script: AwsScript): Promise<string> {
  const client = scriptAws(new SecretsManagerClient({ ...testAwsConfig, ...quickCalls }), script);
  return await readSourceCredential({ client, prefix: 'sluice' }, name);
}

it('is read by the installation’s name for it, again when the store throttles', async () => {
  let asked = 0;
  const value = await read((operation, input) => {
    if (asked++ === 0) throw awsError('ThrottlingException');
    expect([operation, input]).toEqual(['GetSecretValue', { SecretId: `sluice/${name}` }]);
    return { SecretString: 'the key' };
  });
  expect(value).toBe('the key');
});

it.each([
  ['ResourceNotFoundException', 'not-found'],
  ['AccessDeniedException', 'forbidden'],
])('is named, and nothing else is, when the store says %s', async (error, kind) => {
  const failed = read(() => {
    throw awsError(error, 'arn:aws:iam::123456789012:role/x is not authorised');
  });
  await expect(failed).rejects.toMatchObject({ kind, message: expect.stringContaining(name) as string });
});

it('is not found when it holds no text, and passes on what else is wrong', async () => {
  await expect(read(() => ({ SecretBinary: new Uint8Array(1) }))).rejects.toMatchObject({ kind: 'not-found' });
  await expect(
    read(() => {
      throw awsError('DecryptionFailure');
    }),
  ).rejects.toThrow('DecryptionFailure');
});
