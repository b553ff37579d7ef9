import { createWriteStream } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runStep } from '../../buildspecs/agent/agent.ts';
import { choosePlatform } from '../../buildspecs/agent/choose-platform.ts';
import type { Outside } from '../../buildspecs/agent/outside.ts';
import { loadableArchive } from '../../buildspecs/agent/loadable-archive.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import {
  committed,
  digestOf,
  indexType,
  layerType,
  makeLayer,
  manifestType,
  type Committed,
  type Layer,
} from '../support/committed.ts';
import { fakeRegistry, type FakeRegistry } from '../support/fake-registry.ts';
import { makeOutside, type TestOutside } from '../support/outside.ts';

const tag = 'sluice-web:d1';
const manifestOf = (text: string | undefined) =>
  JSON.parse(text ?? '{}') as { layers: { digest: string }[]; config: { digest: string } };
let image: Committed;
let app: Layer;
let base: Layer;
const made: TestOutside[] = [];
beforeEach(async () => {
  image = committed();
  base = await makeLayer({ 'etc/base.txt': 'base' });
  app = await makeLayer({ 'app.txt': 'hello' });
});
afterEach(async () => {
  for (const outside of made.splice(0)) await outside.remove();
});

/** An index of the image for two platforms, and of what says how it was made. */
function indexOf(manifests: readonly { text: string; os: string; architecture: string; variant?: string }[]): string {
  const named = manifests.map(({ text, ...platform }) => ({ ...image.describe(manifestType, text), platform }));
  const index = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: named });
  image.add(index);
  return index;
}

/** Runs the step as the agent does; the reason is that of the work folder. */
async function importIt(artifact: Digest, more: Partial<Outside> = {}) {
  const manifest = await image.manifest({ kind: 'image', digest: artifact });
  const { engine } = more;
  const outside = await makeOutside(
    { kind: 'import', import: { artifact, manifest, tag } },
    { ...(engine && { engine }) },
  );
  made.push(outside);
  for (const [digest, bytes] of image.blobs) outside.blobs.set(digest, bytes);
  const code = await runStep('import', { ...outside, ...more }, { succeeding: true });
  const reason = await readFile(outside.work.reason, 'utf8').catch(() => '');
  return { code, reason, outside, made: (await outside.state()).artifact };
}

describe('an import into a registry', () => {
  let registry: FakeRegistry;
  beforeEach(async () => {
    registry = await fakeRegistry();
  });
  afterEach(async () => await registry.close());
  const push = async (artifact: string) => await importIt(digestOf(artifact), { registry: registry.registry });

  it('brings an image whose digest stays, and makes it the build’s artifact', async () => {
    const manifest = image.image([base, app]);
    const { code, reason, made: artifact } = await push(manifest);
    expect(reason).toBe('');
    expect(code).toBe(0);
    expect([...registry.blobs.keys()].sort()).toEqual(
      [digestOf(base.bytes), digestOf(app.bytes), manifestOf(manifest).config.digest].sort(),
    );
    expect(registry.manifests.get('d1')).toEqual({ body: Buffer.from(manifest), type: manifestType });
    const digest = digestOf(manifest);
    expect(artifact).toMatchObject({
      kind: 'image',
      digest,
      reference: `${registry.host}/sluice/web@${digest}`,
    });
  });

  it('brings every platform of an index, each before the index that names it', async () => {
    const amd = image.image([base, app]);
    const arm = image.image([base], { architecture: 'arm64' });
    const index = indexOf([
      { text: amd, os: 'linux', architecture: 'amd64' },
      { text: arm, os: 'linux', architecture: 'arm64' },
    ]);
    const { made: artifact } = await push(index);
    expect([...registry.manifests.keys()]).toEqual([digestOf(amd), digestOf(arm), 'd1']);
    expect(registry.manifests.get('d1')).toEqual({ body: Buffer.from(index), type: indexType });
    expect(artifact?.digest).toBe(digestOf(index));
  });

  it('sends only the layers that the registry lacks', async () => {
    await push(image.image([base]));
    registry.asked.length = 0;
    const manifest = image.image([base, app]);
    const manifest2 = { ...registry.registry, find: async () => undefined };
    registry.manifests.clear();
    const { code } = await importIt(digestOf(manifest), { registry: manifest2 });
    expect(code).toBe(0);
    expect(registry.asked.filter((what) => what.startsWith('PUT blobs'))).toHaveLength(2);
    expect(registry.blobs.get(digestOf(app.bytes))).toEqual(app.bytes);
  });

  it('gives an OCI manifest that names no media type the one of its fields', async () => {
    const { mediaType: _, ...bare } = JSON.parse(image.image([app])) as { mediaType: string };
    const manifest = JSON.stringify(bare);
    image.add(manifest);
    await push(manifest);
    expect(registry.manifests.get('d1')?.type).toBe(manifestType);
  });

  it('takes what an earlier attempt has pushed, and no other image of that tag', async () => {
    const manifest = image.image([app]);
    registry.manifests.set('d1', { body: Buffer.from(manifest), type: manifestType });
    expect((await push(manifest)).made?.digest).toBe(digestOf(manifest));
    expect(registry.asked).toEqual([]);
    const other = await push(image.image([base]));
    expect(other.reason).toContain('names another image');
    expect(other.made).toBeUndefined();
  });

  it.each([
    ['a blob has other bytes', (digest: Digest, outside: Committed) => outside.blobs.set(digest, Buffer.from('other'))],
    [
      'a blob has other bytes of the same length',
      (digest: Digest, outside: Committed) =>
        outside.blobs.set(digest, Buffer.alloc(outside.blobs.get(digest)?.byteLength ?? 0)),
    ],
  ])('fails when %s, and names no image', async (_what, spoil) => {
    const manifest = image.image([base, app]);
    spoil(digestOf(app.bytes), image);
    const { reason, made: artifact } = await push(manifest);
    expect(reason).toBe(`The object ${digestOf(app.bytes)} has other bytes than its digest says`);
    expect(registry.manifests.size).toBe(0);
    expect(artifact).toBeUndefined();
  });

  it('fails when a blob is not there any more, and says which', async () => {
    const manifest = image.image([base, app]);
    image.blobs.delete(digestOf(app.bytes));
    const { code, reason } = await push(manifest);
    expect(code).toBe(1);
    expect(reason).toBe(`There is no object ${digestOf(app.bytes)}`);
    expect(registry.manifests.size).toBe(0);
  });

  it('reads no blob that its manifest does not list, though it is there and the image names it', async () => {
    const manifest = image.image([base, app]);
    image.entries.delete(`${digestOf(base.bytes).slice(7)}.blob`);
    const { reason } = await push(manifest);
    expect(reason).toBe(`The image is not usable: it lacks ${digestOf(base.bytes)}`);
    expect(registry.blobs.has(digestOf(base.bytes))).toBe(false);
  });

  it('refuses a layer whose bytes are on some other server', async () => {
    const foreign = { ...base, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' };
    const { reason } = await push(image.image([foreign, app]));
    expect(reason).toBe('The image is not usable: it has a layer that may not be distributed');
  });

  it('refuses a manifest that is another artifact’s', async () => {
    const manifest = await image.manifest({ kind: 'image', digest: digestOf(image.image([app])) });
    const artifact = digestOf('another');
    const outside = await makeOutside({ kind: 'import', import: { artifact, manifest, tag } });
    made.push(outside);
    for (const [digest, bytes] of image.blobs) outside.blobs.set(digest, bytes);
    expect(await runStep('import', { ...outside, registry: registry.registry }, { succeeding: true })).toBe(1);
    expect(outside.lines.at(-1)).toContain('is not that of the image');
  });

  it('refuses indexes that lead to indexes for ever', async () => {
    let text = image.image([app]);
    for (let depth = 0; depth < 5; depth++) {
      text = JSON.stringify({ schemaVersion: 2, manifests: [image.describe(indexType, text)] });
      image.add(text);
    }
    expect((await push(text)).reason).toContain('again and again');
  });

  it('goes on when the registry fails for a moment', async () => {
    const failed = new Set<string>();
    registry.script.trouble = (what, response) => {
      if (!what.startsWith('PUT') || failed.has(what)) return false;
      failed.add(what);
      response.writeHead(503).end();
      return true;
    };
    expect((await push(image.image([app]))).code).toBe(0);
    expect(failed.size).toBe(2);
  });
});

describe('the platform of an index', () => {
  const part = (platform?: { os: string; architecture: string; variant?: string }) => ({
    mediaType: manifestType,
    digest: digestOf(JSON.stringify(platform ?? '')),
    ...(platform && { platform }),
  });
  const amd = part({ os: 'linux', architecture: 'amd64' });
  const fast = part({ os: 'linux', architecture: 'amd64', variant: 'v3' });
  const arm = part({ os: 'linux', architecture: 'arm64', variant: 'v8' });
  const attestation = part({ os: 'unknown', architecture: 'unknown' });
  const here = { os: 'linux', architecture: 'amd64' };

  it('is the one that the engine runs, and of several the plainest', () => {
    expect(choosePlatform({ manifests: [fast, arm, attestation, amd] }, here)).toBe(amd);
    expect(choosePlatform({ manifests: [arm, fast] }, here)).toBe(fast);
  });

  it('is that of the only image there, if it says none', () => {
    expect(choosePlatform({ manifests: [part(), attestation] }, here)).toMatchObject({ digest: part().digest });
  });

  it('is named when it is not there', () => {
    expect(() => choosePlatform({ manifests: [arm, attestation] }, here)).toThrow(
      'The image is not for linux/amd64, which runs here: it is for linux/arm64/v8',
    );
    expect(() => choosePlatform({ manifests: [attestation] }, here)).toThrow('it is for none');
  });
});

describe('an import into an engine', () => {
  /** Takes an archive as `docker load` does, and keeps it; says it is the image `sha256:eee…`. */
  async function engine(script = 'cat > "$0.tar"; echo "Loaded image: x"') {
    const outside = await makeOutside({
      kind: 'import',
      import: { artifact: digestOf(''), manifest: digestOf(''), tag },
    });
    made.push(outside);
    const bin = join(outside.work.root, 'engine');
    const id = `sha256:${'e'.repeat(64)}`;
    const cases = `version) echo linux/amd64;; image) echo "${id} 123";; load) ${script};;`;
    await writeFile(bin, `#!/bin/sh\ncase "$1" in ${cases} *) exit 9;; esac\n`);
    await chmod(bin, 0o755);
    return { bin, id, archive: `${bin}.tar`, client: { kind: 'docker', bin, buildKit: false } as const };
  }
  async function namesIn(archive: string) {
    const { unpackTar } = await import('modern-tar');
    const entries = await unpackTar(await readFile(archive));
    return new Map(entries.map(({ header, data }) => [header.name, Buffer.from(data ?? '')]));
  }

  it('gives it the archive that it loads: configuration, layers as they are, and last what names them', async () => {
    const { client, archive, id } = await engine();
    const manifest = image.image([base, app, base]);
    const { code, reason, made: artifact } = await importIt(digestOf(manifest), { engine: client });
    expect(reason).toBe('');
    expect(code).toBe(0);
    const files = await namesIn(archive);
    const layers = [base, app, base].map(({ bytes }) => `${digestOf(bytes).slice(7)}.tar`);
    const config = `${manifestOf(manifest).config.digest.slice(7)}.json`;
    expect([...files.keys()]).toEqual([config, layers[0], layers[1], 'manifest.json']);
    expect(files.get(layers[1] ?? '')).toEqual(app.bytes);
    expect(JSON.parse(files.get('manifest.json')?.toString() ?? '')).toEqual([
      { Config: config, RepoTags: [tag], Layers: layers },
    ]);
    // What was committed keeps its digest, and the fleet runs what the engine calls it.
    expect(artifact).toEqual({ kind: 'image', digest: digestOf(manifest), reference: id, sizeBytes: 123 });
  });

  it('takes the platform that runs there, and nothing of the others', async () => {
    const { client, archive } = await engine();
    const amd = image.image([app]);
    const arm = image.image([base], { architecture: 'arm64' });
    const index = indexOf([
      { text: arm, os: 'linux', architecture: 'arm64' },
      { text: amd, os: 'linux', architecture: 'amd64' },
    ]);
    image.blobs.delete(digestOf(base.bytes));
    const { code, made: artifact } = await importIt(digestOf(index), { engine: client });
    expect(code).toBe(0);
    expect([...(await namesIn(archive)).keys()]).toContain(`${digestOf(app.bytes).slice(7)}.tar`);
    expect(artifact?.digest).toBe(digestOf(index));
  });

  it('says when an image of one platform is not for this engine', async () => {
    const { client } = await engine();
    const { code, outside } = await importIt(digestOf(image.image([app], { architecture: 's390x' })), {
      engine: client,
    });
    expect(code).toBe(0);
    expect(outside.lines).toContain('The image is for linux/s390x; this engine runs linux/amd64');
  });

  it('refuses an image for other platforms', async () => {
    const { client } = await engine();
    const index = indexOf([{ text: image.image([app]), os: 'linux', architecture: 's390x' }]);
    const { reason } = await importIt(digestOf(index), { engine: client });
    expect(reason).toBe('The image is not for linux/amd64, which runs here: it is for linux/s390x');
  });

  it('unpacks a layer that not every engine can, and compares it with the configuration', async () => {
    const { client, archive } = await engine();
    const plain = await makeLayer({ 'a.txt': 'a' }, 'plain');
    const packed = { ...plain, bytes: zstdCompressSync(plain.bytes), mediaType: `${layerType}+zstd` };
    expect((await importIt(digestOf(image.image([packed])), { engine: client })).reason).toBe('');
    expect((await namesIn(archive)).get(`${plain.diffId.slice(7)}.tar`)).toEqual(plain.bytes);
    const wrong = image.image([packed], { diffIds: [base.diffId] });
    expect((await importIt(digestOf(wrong), { engine: client })).reason).toContain(
      'not the one that its configuration',
    );
  });

  it.each([
    ['a kind of layer that is none', { mediaType: 'application/x-encrypted' }, 'a layer of the kind application/x-enc'],
    ['a number of layers that is not the configuration’s', { diffIds: [] }, 'another number of layers'],
  ])('refuses %s', async (_what, { mediaType, diffIds }: { mediaType?: string; diffIds?: string[] }, said) => {
    const { client } = await engine();
    const layer = { ...app, ...(mediaType && { mediaType }) };
    const { reason } = await importIt(digestOf(image.image([layer], { ...(diffIds && { diffIds }) })), {
      engine: client,
    });
    expect(reason).toContain(said);
  });

  it('kills what loads when a blob breaks off or has other bytes, so that it never sees an end', async () => {
    const { client, bin } = await engine('cat > "$0.tar" && touch "$0.ended"');
    const manifest = image.image([base, app]);
    image.blobs.set(digestOf(app.bytes), Buffer.alloc(app.bytes.byteLength));
    const { reason, made: artifact } = await importIt(digestOf(manifest), { engine: client });
    expect(reason).toContain('has other bytes');
    expect(artifact).toBeUndefined();
    await expect(readFile(`${bin}.ended`)).rejects.toThrow('ENOENT');
    // It may have been killed before it had read anything at all.
    const seen = await readFile(`${bin}.tar`).catch(() => Buffer.alloc(0));
    expect(seen.includes('manifest.json')).toBe(false);
  });

  it('says what the engine says when it refuses', async () => {
    const { client } = await engine('cat > /dev/null; echo "invalid diffID for layer 0" >&2; exit 1');
    const { reason } = await importIt(digestOf(image.image([app])), { engine: client });
    expect(reason).toBe('The engine cannot load the image: invalid diffID for layer 0');
  });

  it('says what the engine says when it reads no further', async () => {
    const { client } = await engine('echo "no space left on device" >&2; exit 1');
    const big = { ...app, bytes: Buffer.alloc(3_000_000), mediaType: layerType };
    const { reason } = await importIt(digestOf(image.image([big])), { engine: client });
    expect(reason).toBe('The engine cannot load the image: no space left on device');
  });

  it('holds little of it in memory, however large it is', async () => {
    const sizeBytes = 400 * 1024 ** 2;
    async function* zeros() {
      for (let left = sizeBytes; left > 0; left -= 1024 ** 2) yield Buffer.alloc(1024 ** 2);
    }
    const layer = { digest: digestOf('layer'), sizeBytes, read: zeros };
    const config = { digest: digestOf('{}'), sizeBytes: 2, read: () => blobOf('{}') };
    const before = process.memoryUsage().rss;
    let most = 0;
    const watched = async function* (bytes: AsyncIterable<Uint8Array>) {
      for await (const chunk of bytes) {
        most = Math.max(most, process.memoryUsage().rss - before);
        yield chunk;
      }
    };
    const archive = loadableArchive({ config, layers: [layer], tag });
    await pipeline(watched(archive), createWriteStream('/dev/null'));
    expect(most).toBeLessThan(200 * 1024 ** 2);
  });
});

async function* blobOf(text: string) {
  yield Buffer.from(text);
}
