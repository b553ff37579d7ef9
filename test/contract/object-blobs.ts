import { createHash, randomBytes } from 'node:crypto';
import type { Objects, SignedPut } from '../../functions/ports/objects.ts';
import type { Digest } from '../../functions/runtime/units.ts';

export function randomBlob(size: number) {
  const bytes = randomBytes(size);
  const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  async function* body(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < size; at += 70_000) yield bytes.subarray(at, at + 70_000);
  }
  return { bytes, digest, body };
}

export async function readAll(objects: Pick<Objects, 'read'>, digest: Digest): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await objects.read(digest)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Sends bytes to where a store wants them. */
export async function send({ url, headers }: SignedPut, bytes: Uint8Array): Promise<Response> {
  const answer = await fetch(url, { method: 'PUT', headers, body: new Uint8Array(bytes) });
  await answer.clone().text();
  return answer;
}
