import { S3Client } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import { transferCalls } from '../../functions/aws/client.ts';
import { rememberedHostKeys } from '../../functions/aws/known-hosts.ts';
import { awsError, scriptAws, testAwsConfig, type AwsScript } from '../support/scripted-aws.ts';

const place = { bucket: 'the-bucket', key: 'known-hosts/web' };
const line = 'git.example ssh-ed25519 AAAA\n';

function scripted(script: AwsScript) {
  const asked: unknown[] = [];
  const client = scriptAws(new S3Client({ ...testAwsConfig, ...transferCalls, maxAttempts: 1 }), (operation, input) => {
    asked.push([operation, input]);
    return script(operation, input);
  });
  return { asked, keys: rememberedHostKeys({ client, ...place }) };
}
const stored = (text: string) => ({ ETag: '"1"', Body: { transformToString: async () => text } });
const failing = (name: string) => () => {
  throw awsError(name);
};

it('begin with none: the object is written only where there is none', async () => {
  for (const name of ['NoSuchKey', 'AccessDenied']) {
    expect(await scripted(failing(name)).keys.read()).toEqual({ text: '' });
  }
  const { keys, asked } = scripted(() => ({}));
  await keys.write(line, { text: '' });
  const object = { Bucket: 'the-bucket', Key: 'known-hosts/web', Body: line, ContentType: 'text/plain' };
  expect(asked).toEqual([['PutObject', { ...object, IfNoneMatch: '*' }]]);
});

it('are added to those that were read, and to no others', async () => {
  const { keys, asked } = scripted((operation) => (operation === 'GetObject' ? stored(line) : {}));
  const before = await keys.read();
  expect(before).toEqual({ text: line, etag: '"1"' });
  await keys.write(`${line}more\n`, before);
  expect(asked.at(-1)).toMatchObject(['PutObject', { IfMatch: '"1"', Body: `${line}more\n` }]);
});

it('are never accepted anew where they are kept but cannot be read', async () => {
  const { keys } = scripted((operation) => {
    throw awsError(operation === 'GetObject' ? 'AccessDenied' : 'PreconditionFailed');
  });
  await expect(keys.write(line, await keys.read())).rejects.toMatchObject({ kind: 'conflict' });
});

it('are kept although the answer was lost, and not when another build was quicker', async () => {
  const lost = scripted((operation) => (operation === 'GetObject' ? stored(line) : failing('PreconditionFailed')()));
  await lost.keys.write(line, { text: '' });
  const other = scripted((operation) => (operation === 'GetObject' ? stored('x') : failing('PreconditionFailed')()));
  await expect(other.keys.write(line, { text: '' })).rejects.toThrow('changed by another build');
});

it('say that the bucket does not answer, and pass on every other error', async () => {
  await expect(scripted(failing('SlowDown')).keys.read()).rejects.toMatchObject({ kind: 'busy' });
  await expect(scripted(failing('NoSuchBucket')).keys.read()).rejects.toThrow('NoSuchBucket');
});
