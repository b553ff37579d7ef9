import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { Problem } from '../runtime/errors.ts';
import { answered, isNamed } from './client.ts';

/** The host keys that an app's builds have accepted so far, as lines of ssh's known_hosts. */
export type RememberedKeys = { readonly text: string; readonly etag?: string };

/**
 * Where the host keys of an app's repository are remembered from build to build: nothing on a build machine outlives
 * it. A key that was accepted once is never replaced here: whoever means to, removes the object. The role needs
 * `s3:GetObject` and `s3:PutObject` on it.
 */
export function rememberedHostKeys({ client, bucket, key }: { client: S3Client; bucket: string; key: string }) {
  async function read(): Promise<RememberedKeys> {
    try {
      const { Body, ETag } = await ask(client.send(new GetObjectCommand({ Bucket: bucket, Key: key })));
      return { text: (await Body?.transformToString()) ?? '', ...(ETag === undefined ? {} : { etag: ETag }) };
    } catch (error) {
      // Without the right to list the bucket, S3 says AccessDenied of what is not there:
      // https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_RequestSyntax
      // Should it be there all the same, `write` below is refused, and no key is accepted anew.
      if (isNamed(error, 'NoSuchKey', 'AccessDenied')) return { text: '' };
      throw error;
    }
  }

  /** Keeps the file as ssh left it. Throws `Problem('conflict')` when another build has kept other keys meanwhile. */
  async function write(text: string, before: RememberedKeys): Promise<void> {
    const condition = before.etag === undefined ? { IfNoneMatch: '*' } : { IfMatch: before.etag };
    try {
      const object = { Bucket: bucket, Key: key, Body: text, ContentType: 'text/plain', ...condition };
      await ask(client.send(new PutObjectCommand(object)));
    } catch (error) {
      if (!isNamed(error, 'PreconditionFailed', 'ConditionalRequestConflict')) throw error;
      // Perhaps our own, whose answer was lost.
      if ((await read()).text === text) return;
      throw new Problem('conflict', 'The host keys of this app were changed by another build meanwhile; build again');
    }
  }

  return { read, write };
}

async function ask<Output>(call: Promise<Output>): Promise<Output> {
  return await answered('The bucket', call);
}
