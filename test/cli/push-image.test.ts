import { describe, expect, it } from 'vitest';
import { sha256 } from './builds-service.ts';
import { blobsOf, Layout, noise, ociImage, oldDockerSave, writeTar, type Files } from './packages.ts';
import { layers, pushing } from './pushing.ts';

const { service, inFolder, push, pushed, write } = pushing();

describe('pushing an image', () => {
  it.each([
    ['a folder', async (files: Files) => await write(files)],
    ['a tar', async (files: Files) => await writeTar(inFolder('image.tar'), files)],
  ])('sends every blob of an OCI layout in %s, whole and once', async (_what, write) => {
    const files = ociImage(layers);
    const result = await pushed(await write(files));
    for (const name of blobsOf(files)) expect(service().has(name)).toBe(true);
    const top = JSON.parse(String(files.get('index.json'))) as { manifests: { digest: string }[] };
    const commit = top.manifests[0]?.digest.replace('sha256:', '') ?? '';
    const total = blobsOf(files).reduce((sum, name) => sum + service().object(name).length, 0);
    expect(result).toMatchObject({
      kind: 'image',
      refs: [{ ref: 'app/web/amd64/dev', commit }],
      objects: { total: 5, sent: 5, skipped: 0 },
      bytes: { total, sent: total },
    });
    expect(service().refs.get('app/web/amd64/dev')).toEqual({ ref: 'app/web/amd64/dev', commit, kind: 'image' });
  });

  it('reads what docker save wrote before it wrote OCI layouts, and makes the same manifest each time', async () => {
    const file = await writeTar(inFolder('old.tar'), oldDockerSave(layers, { architecture: 'arm64' }));
    const { refs, objects } = await pushed(file);
    expect(objects).toEqual({ total: 5, sent: 5, skipped: 0 });
    expect(refs[0]?.ref).toBe('app/web/arm64/dev');
    const manifest = JSON.parse(String(service().object(`${refs[0]?.commit}.blob`))) as {
      schemaVersion: number;
      layers: { digest: string; size: number; mediaType: string }[];
    };
    expect(manifest.schemaVersion).toBe(2);
    expect(manifest.layers).toEqual(
      layers.map((layer) => ({
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest: `sha256:${sha256(layer)}`,
        size: layer.length,
      })),
    );
    for (const layer of layers)
      expect(
        service()
          .object(`${sha256(layer)}.blob`)
          .equals(layer),
      ).toBe(true);
    expect((await pushed(file)).refs).toEqual(refs);
  });

  it('sends only the changed layer and what names it when one has changed', async () => {
    const first = ociImage(layers);
    await pushed(await write(first, 'one'));
    for (const name of blobsOf(first)) service().published.add(name);
    const changed = noise('changed', 1_200_000);
    const before = service().receivedBytes;
    const result = await pushed(await write(ociImage([layers[0], changed, layers[2]]), 'two'));
    expect(result.objects).toEqual({ total: 5, sent: 3, skipped: 2 });
    expect(service().has(`${sha256(changed)}.blob`)).toBe(true);
    expect((service().receivedBytes - before) / changed.length).toBeLessThan(1.02);
  });

  it('pushes an image for several platforms whole, under its own digest', async () => {
    const layout = new Layout();
    const images = [
      layout.image([noise('a', 2_000_000)], { architecture: 'amd64' }),
      layout.image([noise('b', 2_000_000)], { architecture: 'arm64', variant: 'v8' }),
      { ...layout.image([noise('att', 500)]), platform: { os: 'unknown', architecture: 'unknown' } },
    ];
    const index = layout.index(images);
    const files = layout.top([index]);
    const { refs } = await pushed(await write(files));
    expect(refs).toEqual([{ ref: 'app/web/any/dev', commit: index.digest.replace('sha256:', '') }]);
    for (const name of blobsOf(files)) expect(service().has(name)).toBe(true);
  });

  it('pushes each platform under a ref of its own where the layout has no index of them', async () => {
    const layout = new Layout();
    const images = [
      layout.image([noise('a', 3000)], { architecture: 'amd64' }),
      layout.image([noise('b', 3000)], { architecture: 'arm', variant: 'v7' }),
    ];
    const { refs } = await pushed(await write(layout.top(images)), '--name', 'shop');
    expect(refs.map(({ ref }) => ref)).toEqual(['app/shop/amd64/dev', 'app/shop/arm-v7/dev']);
  });

  it('gives no ref to an attestation that lies beside its image', async () => {
    const layout = new Layout();
    const unknown = { os: 'unknown', architecture: 'unknown' };
    const images = [layout.image([noise('a', 3000)]), { ...layout.image([noise('att', 50)]), platform: unknown }];
    const { refs, objects } = await pushed(await write(layout.top(images)));
    expect(refs.map(({ ref }) => ref)).toEqual(['app/web/amd64/dev']);
    expect(objects.total).toBe(3);
  });

  it('leaves out the platforms that are not in the archive, and says so', async () => {
    const layout = new Layout();
    const here = layout.image([noise('a', 3000)]);
    const elsewhere = { ...here, digest: `sha256:${'e'.repeat(64)}`, platform: { os: 'linux', architecture: 'arm64' } };
    const file = await writeTar(inFolder('image.tar'), layout.top([layout.index([here, elsewhere])]));
    const { code, err, out } = await push(file);
    expect(code).toBe(0);
    expect(err).toContain('left out: linux/arm64.');
    expect(out).toContain(`app/web/amd64/dev  ${here.digest.slice(7)}`);
  });

  it('names the ref as it is told to', async () => {
    const image = await write(ociImage([noise('a', 10)]));
    const { refs } = await pushed(image, '--name', 'web.extra', '--ref-branch', 'next');
    expect(refs[0]?.ref).toBe('app/web.extra/amd64/next');
  });

  it.each([
    [
      'lacks a layer',
      (files: Map<string, Buffer>) => files.delete(`blobs/sha256/${sha256(layers[1])}`),
      'lacks sha256:',
    ],
    [
      'has a layer of another size',
      (files: Map<string, Buffer>) => files.set(`blobs/sha256/${sha256(layers[1])}`, Buffer.from('short')),
      'has 5 bytes, not the 1500001 it should have',
    ],
    [
      'has no index',
      (files: Map<string, Buffer>) => files.set('index.json', Buffer.from('{"manifests":[]}')),
      'holds no image',
    ],
    [
      'has no JSON for one',
      (files: Map<string, Buffer>) => files.set('index.json', Buffer.from('{')),
      'is not valid JSON',
    ],
  ])('refuses a layout that %s before anything is sent', async (_what, spoil, expected) => {
    const files = new Map(ociImage(layers));
    spoil(files);
    const { code, err } = await push(await write(files));
    expect(code).toBe(2);
    expect(err).toContain(expected);
    expect(service().receivedBytes).toBe(0);
  });

  it('refuses an archive of several images, naming them', async () => {
    const layout = new Layout();
    const images = ['a', 'b'].map((seed) => ({
      ...layout.image([noise(seed, 10)]),
      annotations: { 'io.containerd.image.name': `docker.io/library/${seed}:1` },
    }));
    const file = await writeTar(inFolder('image.tar'), layout.top(images));
    expect(await push(file)).toMatchObject({
      code: 2,
      err: expect.stringContaining('holds 2 images: docker.io/library/a:1, docker.io/library/b:1.'),
    });
  });

  it.each([
    ['other bytes than its name says', (bytes: Buffer) => bytes.fill(1, 2_000_000, 2_000_001)],
    ['other bytes in its last part', (bytes: Buffer) => bytes.fill(1, 2_999_999)],
  ])('fails when a layer has %s, naming it, and names no ref', async (_what, spoil) => {
    const base = Buffer.from(layers[0]);
    const files = new Map(ociImage(layers));
    spoil(base);
    files.set(`blobs/sha256/${sha256(layers[0])}`, base);
    const { code, err } = await push(await write(files));
    expect(code).toBe(2);
    expect(err).toContain(`sha256:${sha256(layers[0])} (`);
    expect(err).toContain('changed while it was pushed, or is damaged');
    expect(service().refs.size).toBe(0);
  });
});
