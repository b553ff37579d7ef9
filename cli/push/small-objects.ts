import { createHash } from 'node:crypto';
import { path } from '../client.ts';
import { NotReachable } from '../failures.ts';
import { openSource, SourceEnded } from './byte-source.ts';
import { changedMeanwhile } from './changed.ts';
import { patient, type Destination } from './destination.ts';
import { formOf } from './form.ts';
import type { PushObject } from './package.ts';

/** As many small objects as go into one request: 4 MiB with what each of them adds to it, and 250. */
export function batchesOf(objects: readonly PushObject[]): readonly (readonly PushObject[])[] {
  const batches: PushObject[][] = [];
  let bytes = mostBytes + 1;
  for (const object of objects) {
    const adds = object.sizeBytes + bytesAround;
    if (bytes + adds > mostBytes || batches.at(-1)?.length === mostObjects) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)?.push(object);
    bytes += adds;
  }
  return batches;
}

const mostBytes = 4 * 1024 ** 2;
/** On AWS each is a write to S3 of some 40 ms, one after the other, and a request has half a minute. */
const mostObjects = 250;
/** The headers of a part of a form, about. */
const bytesAround = 256;

/** Sends one batch as a form; throws when the server does not say that it has stored just that. */
export async function sendBatch(batch: readonly PushObject[], to: Destination, signal: AbortSignal): Promise<void> {
  const sizes = batch.map(({ sizeBytes }) => sizeBytes);
  const stored = await to.slots.run(async () => {
    const files = [];
    for (const object of batch) files.push({ name: object.name, bytes: await wholeOf(object) });
    const { body } = await to.client.request<unknown>({
      method: 'POST',
      path: path`/api/v1/build/${to.build}/upload`,
      raw: formOf(files),
      ...patient(to, signal),
    });
    return body;
  }, signal);
  if (JSON.stringify(stored) !== JSON.stringify(sizes)) {
    throw new NotReachable(`${to.client.connection.baseUrl} does not say that it stored what was sent to it.`);
  }
  to.progress.sent(sizes.reduce((sum, size) => sum + size, 0));
  for (const object of batch) to.progress.done(object, object.sizeBytes);
}

async function wholeOf(object: PushObject): Promise<Buffer> {
  const reader = await openSource(object.source);
  try {
    const bytes = await reader.read(0, object.sizeBytes);
    const isSame = object.sha256 === undefined || createHash('sha256').update(bytes).digest('hex') === object.sha256;
    if (!isSame) throw changedMeanwhile(object);
    return bytes;
  } catch (error) {
    throw error instanceof SourceEnded ? changedMeanwhile(object) : error;
  } finally {
    await reader.close();
  }
}
