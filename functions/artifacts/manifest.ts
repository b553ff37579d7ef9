import { createHash } from 'node:crypto';
import * as v from 'valibot';
import type { Objects } from '../ports/objects.ts';
import { digestPattern, type Digest } from '../runtime/units.ts';

/**
 * What an artifact that was uploaded consists of: a blob of JSON lines, the first of which says what it is, and each
 * other one names an object: `["<name>","sha256:…",<bytes>]`. It is kept beside the objects: what names it, names them.
 */
export type ManifestHead = {
  readonly kind: 'image' | 'bundle' | 'ostree';
  readonly digest?: Digest;
  readonly refs: readonly { readonly ref: string; readonly commit: string }[];
};
export type ManifestEntry = { readonly digest: Digest; readonly sizeBytes: number };
export type Manifest = { readonly head: ManifestHead; readonly entries: ReadonlyMap<string, ManifestEntry> };

const mostCachedEntries = 600_000;

/** Stores a manifest; the same contents have the same digest. */
export async function writeManifest(
  objects: Pick<Objects, 'put'>,
  { head, entries }: Manifest,
): Promise<{ digest: Digest; sizeBytes: number }> {
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash('sha256');
  for (const piece of pieces(head, sorted)) hash.update(piece);
  const digest: Digest = `sha256:${hash.digest('hex')}`;
  const { sizeBytes } = await objects.put(digest, streamed(pieces(head, sorted)));
  return { digest, sizeBytes };
}

/** Reads a manifest; those that were read last are remembered, as none ever changes. Throws `Problem('not-found')`. */
export async function readManifest(objects: Pick<Objects, 'read'>, digest: Digest): Promise<Manifest> {
  const known = cache.get(digest);
  const manifest = known ?? (await parse(await objects.read(digest)));
  cache.delete(digest);
  cache.set(digest, manifest);
  let size = [...cache.values()].reduce((sum, { entries }) => sum + entries.size, 0);
  for (const [oldest, { entries }] of cache) {
    if (size <= mostCachedEntries || cache.size === 1) break;
    size -= entries.size;
    cache.delete(oldest);
  }
  return manifest;
}

const cache = new Map<Digest, Manifest>();

const digest = v.custom<Digest>((value) => typeof value === 'string' && digestPattern.test(value));
const headSchema = v.object({
  kind: v.picklist(['image', 'bundle', 'ostree']),
  digest: v.exactOptional(digest),
  refs: v.array(v.object({ ref: v.string(), commit: v.string() })),
});
const entrySchema = v.tuple([v.string(), digest, v.number()]);

async function parse(body: AsyncIterable<Uint8Array>): Promise<Manifest> {
  let head: ManifestHead | undefined;
  const entries = new Map<string, ManifestEntry>();
  for await (const line of linesOf(body)) {
    if (!head) head = v.parse(headSchema, JSON.parse(line));
    else {
      const [name, digest, sizeBytes] = v.parse(entrySchema, JSON.parse(line));
      entries.set(name, { digest, sizeBytes });
    }
  }
  if (!head) throw new Error('The manifest of an artifact is empty');
  return { head, entries };
}

async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}

function* pieces(head: ManifestHead, entries: readonly (readonly [string, ManifestEntry])[]): Generator<Buffer> {
  let text = `${JSON.stringify(head)}\n`;
  for (const [name, { digest, sizeBytes }] of entries) {
    text += `${JSON.stringify([name, digest, sizeBytes])}\n`;
    if (text.length < 64 * 1024) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text);
}

async function* streamed(pieces: Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* pieces;
}
