import type { SentObject } from './accept.ts';

/** What is no larger is read whole; the next one is read while it is stored. */
const smallBytes = 256 * 1024;
/** Thousands come in one request, and each is a call of the store: one by one they take longer than API Gateway waits. */
const atOnce = 32;

/** `sizeBytes`: of a small one, which has come whole. */
export type ComingObject = SentObject & { readonly sizeBytes?: number };

/**
 * Takes objects as they come in, small ones several at once; answers with what `take` makes of each, in their order. At
 * most 8 MiB of small ones are held. When one is refused no more are read, and what is under way comes to its end first.
 */
export async function takeEach<T>(
  sent: AsyncIterable<SentObject>,
  take: (object: ComingObject) => Promise<T>,
): Promise<readonly T[]> {
  const taken: Promise<T>[] = [];
  const active = new Set<Promise<unknown>>();
  let isRefused = false;
  try {
    for await (const { filename, body } of sent) {
      const coming = await begun(body);
      const taking = take({ filename, ...coming });
      taken.push(taking);
      const settled: Promise<unknown> = taking.then(
        () => active.delete(settled),
        () => (isRefused = true),
      );
      active.add(settled);
      // A large one is read while it is stored, and nothing after it before.
      if (coming.sizeBytes === undefined) await settled;
      else if (active.size >= atOnce) await Promise.race(active);
      if (isRefused) break;
    }
  } finally {
    await Promise.all(active);
  }
  return await Promise.all(taken);
}

/** A body whose beginning was read: all of it where it is small. */
async function begun(body: AsyncIterable<Uint8Array>): Promise<Omit<ComingObject, 'filename'>> {
  const rest = body[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  while (sizeBytes <= smallBytes) {
    const { done, value } = await rest.next();
    if (done) return { body: from(chunks), sizeBytes };
    chunks.push(value);
    sizeBytes += value.byteLength;
  }
  return { body: from(chunks, rest) };
}

async function* from(
  chunks: readonly Uint8Array[],
  rest?: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* chunks;
    for (let next = await rest?.next(); next && !next.done; next = await rest?.next()) yield next.value;
  } finally {
    await rest?.return?.();
  }
}
