import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { packTar, type TarEntry } from 'modern-tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pushArchive } from '../../buildspecs/agent/push-archive.ts';
import { digestOf, indexType, manifestType } from '../support/committed.ts';
import { fakeRegistry, type FakeRegistry } from '../support/fake-registry.ts';
import { makeOutside, type TestOutside } from '../support/outside.ts';

const file = (name: string, body: Uint8Array | string): TarEntry => ({
  header: { name, type: 'file', size: Buffer.byteLength(body) },
  body,
});
const layer = Buffer.from(await packTar([file('app.txt', 'hello')]));
const config = JSON.stringify({
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
});
const blobName = (bytes: Uint8Array | string) => `blobs/sha256/${digestOf(bytes).slice(7)}`;
const described = (mediaType: string, bytes: Uint8Array | string) => ({
  mediaType,
  digest: digestOf(bytes),
  size: Buffer.byteLength(bytes),
});
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: manifestType,
  config: described('application/vnd.oci.image.config.v1+json', config),
  layers: [described('application/vnd.oci.image.layer.v1.tar', layer)],
});
const index = JSON.stringify({
  schemaVersion: 2,
  mediaType: indexType,
  manifests: [described(manifestType, manifest)],
});
const layout = (roots: readonly object[], blobs: readonly (Uint8Array | string)[]): TarEntry[] => [
  file('oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
  file('index.json', JSON.stringify({ schemaVersion: 2, manifests: roots })),
  ...blobs.map((blob) => file(blobName(blob), blob)),
];
const saved = (names: { layers: string[]; config?: string }) =>
  file('manifest.json', JSON.stringify([{ Config: 'c.json', RepoTags: ['x:1'], Layers: names.layers }]));

describe('an image archive', () => {
  let registry: FakeRegistry;
  let outside: TestOutside;
  beforeEach(async () => {
    registry = await fakeRegistry();
    const wanted = { url: 'https://x.example', sha256: 'a'.repeat(64), maxBytes: 1, allowPrivateHosts: false };
    outside = await makeOutside({ kind: 'fetch', fetch: { ...wanted, artifactKind: 'image', tag: 'sluice-web:d1' } });
  });
  afterEach(async () => {
    await registry.close();
    await outside.remove();
  });

  async function push(entries: readonly TarEntry[]): Promise<void> {
    const path = join(outside.work.root, 'archive');
    await writeFile(path, await packTar([...entries]));
    await pushArchive(
      outside,
      { ...registry.registry, find: async () => undefined },
      { file: path, tag: 'sluice-web:d1' },
    );
  }
  const artifact = async () => (await outside.state()).artifact;

  it('of an OCI layout keeps its digest', async () => {
    await push(layout([described(manifestType, manifest)], [manifest, config, layer]));
    expect([...registry.blobs.keys()].sort()).toEqual([digestOf(config), digestOf(layer)].sort());
    expect(registry.manifests.get('d1')).toEqual({ body: Buffer.from(manifest), type: manifestType });
    expect(await artifact()).toMatchObject({ kind: 'image', digest: digestOf(manifest) });
    expect(await readdir(outside.work.root)).not.toContain('image');
  });

  it('of several platforms is pushed whole, its parts before the index that names them', async () => {
    await push(layout([described(indexType, index)], [index, manifest, config, layer]));
    expect([...registry.manifests.keys()]).toEqual([digestOf(manifest), 'd1']);
    expect(registry.manifests.get('d1')).toEqual({ body: Buffer.from(index), type: indexType });
  });

  it.each([
    ['as it is', layer, 'application/vnd.oci.image.layer.v1.tar'],
    ['compressed', gzipSync(layer), 'application/vnd.oci.image.layer.v1.tar+gzip'],
  ])('of an older engine gets a manifest; its layer is taken %s', async (_how, bytes, mediaType) => {
    const entries = [saved({ layers: ['l/layer.tar'] }), file('c.json', config), file('l/layer.tar', bytes)];
    await push(entries);
    expect(JSON.parse(registry.manifests.get('d1')?.body.toString() ?? '')).toEqual({
      schemaVersion: 2,
      mediaType: manifestType,
      config: described('application/vnd.oci.image.config.v1+json', config),
      layers: [described(mediaType, bytes)],
    });
  });

  it('may name a layer by a link', async () => {
    const link: TarEntry = { header: { name: 'm/layer.tar', type: 'symlink', linkname: '../l/layer.tar', size: 0 } };
    const entries = [saved({ layers: ['m/layer.tar'] }), file('c.json', config), link, file('l/layer.tar', layer)];
    await push(entries);
    expect(registry.blobs.has(digestOf(layer))).toBe(true);
  });

  it.each([
    [
      'two images',
      layout([described(manifestType, manifest), described(indexType, index)], [manifest, index]),
      /one image/,
    ],
    ['nothing that is an image', [file('a', 'b')], /neither the index.json/],
    [
      'a blob with other bytes',
      [...layout([described(manifestType, manifest)], [manifest, config]), file(blobName(layer), 'x')],
      /other bytes/,
    ],
    ['a manifest without its layer', layout([described(manifestType, manifest)], [manifest, config]), /it lacks/],
    [
      'a digest that is a path',
      layout([{ mediaType: manifestType, digest: 'sha256:../../x' }], []),
      /a digest in it is none/,
    ],
    ['a manifest that is none', layout([described(manifestType, config)], [config]), /a manifest that is none/],
    ['a layer of another image', [saved({ layers: ['l'] }), file('c.json', config), file('l', 'other')], /not the one/],
    ['fewer layers than named', [saved({ layers: [] }), file('c.json', config)], /lacks layers/],
    [
      'a layer that breaks off',
      [saved({ layers: ['l'] }), file('c.json', config), file('l', gzipSync(layer).subarray(0, 30))],
      /cannot be unpacked/,
    ],
  ] satisfies [string, TarEntry[], RegExp][])('is refused with %s', async (_name, entries, reason) => {
    await expect(push(entries)).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringMatching(reason) as string,
    });
    expect(registry.manifests.size).toBe(0);
    expect(await artifact()).toBeUndefined();
    expect(await readdir(outside.work.root)).not.toContain('image');
  });

  it('is sent again when the registry fails, and nothing twice that it has', async () => {
    registry.blobs.set(digestOf(config), Buffer.from(config));
    const failed = new Set<string>();
    registry.script.trouble = (what, response) => {
      if (!what.startsWith('PUT') || failed.has(what)) return false;
      failed.add(what);
      response.writeHead(503).end();
      return true;
    };
    await push(layout([described(manifestType, manifest)], [manifest, config, layer]));
    expect(failed.size).toBe(2);
    expect(registry.asked.filter((what) => what.startsWith('POST'))).toHaveLength(2);
    expect(await artifact()).toMatchObject({ digest: digestOf(manifest) });
  });

  it('is there although the answer was lost and its tag cannot be moved', async () => {
    let lost = false;
    registry.script.trouble = (what, response) => {
      if (what !== 'PUT manifests/d1' || lost) return false;
      lost = true;
      registry.manifests.set('d1', { body: Buffer.from(manifest), type: manifestType });
      response.destroy();
      return true;
    };
    await push(layout([described(manifestType, manifest)], [manifest, config, layer]));
    expect(await artifact()).toMatchObject({ digest: digestOf(manifest) });
  });

  it('is refused where its tag names another image', async () => {
    registry.manifests.set('d1', { body: Buffer.from(index), type: indexType });
    const pushed = push(layout([described(manifestType, manifest)], [manifest, config, layer]));
    await expect(pushed).rejects.toThrow(/refuses the image with 400.*TAG_INVALID/);
  });

  it('does not give the login to where the registry sends it', async () => {
    const seen: (string | undefined)[] = [];
    const other = createServer((request, response) => {
      seen.push(request.headers.authorization);
      request.resume().on('end', () => response.writeHead(201).end());
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const place = `http://127.0.0.1:${(other.address() as AddressInfo).port}/put`;
    registry.script.trouble = (what, response) => {
      if (!what.startsWith('POST')) return false;
      response.writeHead(202, { location: place }).end();
      return true;
    };
    await push(layout([described(manifestType, manifest)], [manifest, config, layer]));
    other.closeAllConnections();
    await new Promise((resolve) => other.close(resolve));
    expect(seen).toEqual([undefined, undefined]);
  });
});
