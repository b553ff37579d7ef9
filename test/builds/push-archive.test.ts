import { createHash } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { packTar, type TarEntry } from 'modern-tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Registry } from '../../buildspecs/agent/outside.ts';
import { pushArchive } from '../../buildspecs/agent/push-archive.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import { makeOutside, type TestOutside } from '../support/outside.ts';

const digestOf = (bytes: Uint8Array | string): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
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
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';
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
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, { body: Buffer; type: string }>();
  let asked: string[] = [];
  let trouble: ((asked: string, response: ServerResponse) => boolean) | undefined;
  let server: Server;
  let outside: TestOutside;
  let host: string;
  beforeEach(async () => {
    blobs.clear();
    manifests.clear();
    asked = [];
    trouble = undefined;
    server = createServer((request, response) => void answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const wanted = { url: 'https://x.example', sha256: 'a'.repeat(64), maxBytes: 1, allowPrivateHosts: false };
    outside = await makeOutside({ kind: 'fetch', fetch: { ...wanted, artifactKind: 'image', tag: 'sluice-web:d1' } });
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await outside.remove();
  });

  /** A registry as the specification has it, which lets in who has the login. */
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', `http://${host}`);
    const path = url.pathname.replace('/v2/sluice/web/', '');
    const body = await buffer(request);
    asked.push(`${request.method} ${path}`);
    if (trouble?.(`${request.method} ${path}`, response)) return;
    if (request.headers.authorization !== 'Basic bG9naW4=') return void response.writeHead(401).end();
    const name = path.split('/').at(-1) ?? '';
    if (request.method === 'HEAD' && path.startsWith('blobs/')) {
      return void response.writeHead(blobs.has(name) ? 200 : 404).end();
    }
    if (request.method === 'POST') return void response.writeHead(202, { location: `${url.pathname}7?state=a` }).end();
    if (request.method === 'PUT' && path.startsWith('blobs/uploads/7')) {
      const digest = url.searchParams.get('digest') ?? '';
      if (digestOf(body) !== digest || url.searchParams.get('state') !== 'a') return void response.writeHead(400).end();
      blobs.set(digest, body);
      return void response.writeHead(201).end();
    }
    if (request.method === 'PUT') {
      if (manifests.has(name)) return void response.writeHead(400).end('{"errors":[{"code":"TAG_INVALID"}]}');
      manifests.set(name, { body, type: request.headers['content-type'] ?? '' });
      return void response.writeHead(201).end();
    }
    const found = manifests.get(name);
    if (!found) return void response.writeHead(404).end();
    response.writeHead(200, { 'docker-content-digest': digestOf(found.body) }).end();
  }

  async function push(entries: readonly TarEntry[]): Promise<void> {
    const path = join(outside.work.root, 'archive');
    await writeFile(path, await packTar([...entries]));
    const published = (digest: Digest) => ({ digest, reference: `${host}/sluice/web@${digest}`, sizeBytes: 1 });
    const registry: Registry = {
      server: host,
      repository: `${host}/sluice/web`,
      buildKit: {},
      enter: async () => 'bG9naW4=',
      find: async () => undefined,
      findPushed: async (tag) => published(digestOf(manifests.get(tag)?.body ?? '')),
    };
    await pushArchive(outside, registry, { file: path, tag: 'sluice-web:d1' });
  }
  const artifact = async () => (await outside.state()).artifact;

  it('of an OCI layout keeps its digest', async () => {
    await push(layout([described(manifestType, manifest)], [manifest, config, layer]));
    expect([...blobs.keys()].sort()).toEqual([digestOf(config), digestOf(layer)].sort());
    expect(manifests.get('d1')).toEqual({ body: Buffer.from(manifest), type: manifestType });
    expect(await artifact()).toMatchObject({ kind: 'image', digest: digestOf(manifest) });
    expect(await readdir(outside.work.root)).not.toContain('image');
  });

  it('of several platforms is pushed whole, its parts before the index that names them', async () => {
    await push(layout([described(indexType, index)], [index, manifest, config, layer]));
    expect([...manifests.keys()]).toEqual([digestOf(manifest), 'd1']);
    expect(manifests.get('d1')).toEqual({ body: Buffer.from(index), type: indexType });
  });

  it.each([
    ['as it is', layer, 'application/vnd.oci.image.layer.v1.tar'],
    ['compressed', gzipSync(layer), 'application/vnd.oci.image.layer.v1.tar+gzip'],
  ])('of an older engine gets a manifest; its layer is taken %s', async (_how, bytes, mediaType) => {
    const entries = [saved({ layers: ['l/layer.tar'] }), file('c.json', config), file('l/layer.tar', bytes)];
    await push(entries);
    expect(JSON.parse(manifests.get('d1')?.body.toString() ?? '')).toEqual({
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
    expect(blobs.has(digestOf(layer))).toBe(true);
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
    expect(manifests.size).toBe(0);
    expect(await artifact()).toBeUndefined();
    expect(await readdir(outside.work.root)).not.toContain('image');
  });

  it('is sent again when the registry fails, and nothing twice that it has', async () => {
    blobs.set(digestOf(config), Buffer.from(config));
    const failed = new Set<string>();
    trouble = (what, response) => {
      if (!what.startsWith('PUT') || failed.has(what)) return false;
      failed.add(what);
      response.writeHead(503).end();
      return true;
    };
    await push(layout([described(manifestType, manifest)], [manifest, config, layer]));
    expect(failed.size).toBe(2);
    expect(asked.filter((what) => what.startsWith('POST'))).toHaveLength(2);
    expect(await artifact()).toMatchObject({ digest: digestOf(manifest) });
  });

  it('is there although the answer was lost and its tag cannot be moved', async () => {
    let lost = false;
    trouble = (what, response) => {
      if (what !== 'PUT manifests/d1' || lost) return false;
      lost = true;
      manifests.set('d1', { body: Buffer.from(manifest), type: manifestType });
      response.destroy();
      return true;
    };
    await push(layout([described(manifestType, manifest)], [manifest, config, layer]));
    expect(await artifact()).toMatchObject({ digest: digestOf(manifest) });
  });

  it('is refused where its tag names another image', async () => {
    manifests.set('d1', { body: Buffer.from(index), type: indexType });
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
    trouble = (what, response) => {
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
