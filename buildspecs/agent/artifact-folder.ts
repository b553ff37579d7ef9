import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { unpackTar } from 'modern-tar/fs';
import { createGunzip } from 'node:zlib';
import { readManifest, type Manifest, type ManifestEntry } from '../../functions/artifacts/manifest.ts';
import type { CheckedArtifact } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { describeContent, objectsContent } from './image-content.ts';
import { objectPath } from './object-path.ts';
import type { Outside } from './outside.ts';
import { checkBundleArchive } from './read-archive.ts';
import { readVerified } from './read-object.ts';

/** An OSTree repository is many small files: so many are fetched at once. */
const atOnce = 16;

/**
 * Lays a committed artifact out in the work folder, as tools of its kind have it on disk: an OCI image layout, an
 * unpacked bundle, an OSTree repository in archive mode. Every byte is compared with its digest. Throws `Problem`.
 */
export async function layOutArtifact(outside: Outside, { kind, digest, manifest: at }: CheckedArtifact): Promise<void> {
  const objects = { read: async (blob: CheckedArtifact['manifest']) => readVerified(outside, { digest: blob }) };
  const manifest = await readManifest(objects, at);
  const said = manifest.head.digest ?? at;
  if (manifest.head.kind !== kind || said !== digest) {
    throw new Problem('invalid', `The manifest ${at} is not that of the ${kind} ${digest}`);
  }
  await mkdir(outside.work.artifact);
  switch (kind) {
    case 'image':
      return await layOutImage(outside, manifest, digest);
    case 'bundle':
      return await layOutBundle(outside, manifest, digest);
    case 'ostree':
      return await layOutRepository(outside, manifest);
  }
}

/** https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
async function layOutImage(outside: Outside, manifest: Manifest, digest: string): Promise<void> {
  const folder = outside.work.artifact;
  const { mediaType, bytes } = await describeContent(objectsContent(outside, manifest), digest);
  const root = { mediaType, digest, size: bytes.byteLength };
  await fetchAll(outside, manifest.entries, (name, blob) => {
    const hex = blob.digest.slice('sha256:'.length);
    return name === `${hex}.blob` ? join('blobs/sha256', hex) : undefined;
  });
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}\n');
  await writeFile(join(folder, 'index.json'), `${JSON.stringify({ schemaVersion: 2, manifests: [root] })}\n`);
}

async function layOutBundle(outside: Outside, { entries }: Manifest, digest: string): Promise<void> {
  const { archive, artifact } = outside.work;
  const entry = entries.get(`${digest.slice('sha256:'.length)}.blob`);
  if (entry?.digest !== digest) throw new Problem('invalid', `The artifact lacks ${digest}`);
  await pipeline(Readable.from(readVerified(outside, entry)), createWriteStream(archive, { flags: 'wx', mode: 0o600 }));
  await checkBundleArchive(archive, { name: 'The bundle', given: 'what was committed' });
  try {
    await pipeline(createReadStream(archive), createGunzip(), unpackTar(artifact));
  } catch (cause) {
    throw new Problem('invalid', 'The bundle cannot be unpacked', { cause });
  }
  await rm(archive, { force: true });
}

/** https://ostreedev.github.io/ostree/repo/ and, for what a repository must have besides, ostree_repo_create. */
async function layOutRepository(outside: Outside, { entries, head }: Manifest): Promise<void> {
  const folder = outside.work.artifact;
  await writeFile(join(folder, 'config'), '[core]\nrepo_version=1\nmode=archive-z2\n');
  for (const name of ['objects', 'refs/heads', 'refs/mirrors', 'refs/remotes', 'extensions', 'state', 'tmp/cache']) {
    await mkdir(join(folder, name), { recursive: true });
  }
  await fetchAll(outside, entries, objectPath);
  for (const { ref, commit } of head.refs) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/.test(ref)) {
      throw new Problem('invalid', `The artifact has a ref that is none: ${JSON.stringify(ref.slice(0, 200))}`);
    }
    const path = join(folder, 'refs/heads', ref);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `${commit}\n`);
  }
}

/** Fetches every object to where `pathOf` says it lies, within the artifact's folder; several at once. */
async function fetchAll(
  outside: Outside,
  entries: Manifest['entries'],
  pathOf: (name: string, entry: ManifestEntry) => string | undefined,
): Promise<void> {
  const left: { entry: ManifestEntry; path: string }[] = [...entries].map(([name, entry]) => ({
    entry,
    path: pathOrRefuse(name, pathOf(name, entry)),
  }));
  const folders = new Set(left.map(({ path }) => dirname(path)));
  for (const folder of folders) await mkdir(join(outside.work.artifact, folder), { recursive: true });
  const work = async () => {
    for (let next = left.pop(); next; next = left.pop()) {
      await fetchOne(outside, next.entry, join(outside.work.artifact, next.path));
    }
  };
  try {
    await Promise.all(Array.from({ length: atOnce }, work));
  } finally {
    left.length = 0; // One has failed: the others need not go on.
  }
}

function pathOrRefuse(name: string, path: string | undefined): string {
  if (path !== undefined) return path;
  throw new Problem(
    'invalid',
    `The artifact has an object that is none of its kind: ${JSON.stringify(name.slice(0, 200))}`,
  );
}

async function fetchOne(outside: Outside, entry: ManifestEntry, path: string): Promise<void> {
  await pipeline(Readable.from(readVerified(outside, entry)), createWriteStream(path, { flags: 'wx', mode: 0o644 }));
}
