import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readManifest } from '../../functions/artifacts/manifest.ts';
import { movePointer } from '../../functions/artifacts/pointer.ts';
import { getArtifact } from '../../functions/artifacts/store.ts';
import { closureOf } from '../../functions/builds/closure/closure.ts';
import type { Entry } from '../../functions/builds/contents.ts';
import type { Job } from '../../functions/builds/job.ts';
import { missingObjects } from '../../functions/builds/present.ts';
import type { Objects } from '../../functions/ports/objects.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import {
  alone,
  blob,
  buildsService,
  bundle,
  image,
  refusal,
  type BuildsService,
  type NamedBytes,
} from '../support/builds-service.ts';
import { digestOf, indexType, makeLayer, manifestType, type Committed } from '../support/committed.ts';
import * as golden from './objects/ostree-golden.ts';

let world: BuildsService;
let id: number;
beforeAll(async () => {
  world = await buildsService();
  await world.apply('web', alone);
});
afterAll(async () => await world.close());
beforeEach(async () => {
  id = await world.create('web');
});

const hexOf = (text: string | Uint8Array) => digestOf(text).slice('sha256:'.length);
const reasonOf = ({ state }: Job) => (state.status === 'broken' ? state.reason : `it is ${state.status}`);
const resultsOf = ({ state }: Job) => (state.status === 'ended' ? state.results : {});
const without = (objects: readonly NamedBytes[], ...names: readonly string[]) =>
  objects.filter(({ name }) => !names.includes(name));

/** An image of two layers, different for each text. */
async function simpleImage(text: string, more: Parameters<Committed['image']>[1] = {}) {
  const { made, objects } = image();
  const layers = [await makeLayer({ 'etc/name': text }), await makeLayer({ 'srv/index': `${text}!` })];
  const manifest = made.image(layers, more);
  return { made, layers, manifest, objects: objects(), hex: hexOf(manifest) };
}

/** What a commit that failed does not say of these, and whether its build is open and says why. */
async function untold(job: Job, ...words: readonly (string | RegExp)[]): Promise<readonly unknown[]> {
  const { state, artifact } = await world.build(job.work.kind === 'commit' ? job.work.build : 0);
  const reason = state.status === 'uploading' ? state.reason : undefined;
  const isOpen = reason === reasonOf(job) && artifact === undefined && job.log.includes('The build is open again');
  const told = `${reason}\n${job.log}`;
  const left = words.filter((word) => (typeof word === 'string' ? !told.includes(word) : !word.test(told)));
  return isOpen ? left : [`not open: ${JSON.stringify(state)}, ${reasonOf(job)}`];
}

describe('a commit of an image', () => {
  it('makes one artifact of it, with all that its manifest names', async () => {
    const { manifest, objects, hex } = await simpleImage('whole');
    await world.upload(id, objects);
    await world.ref(id, hex);
    const job = await world.commit(id);
    expect(job.state.status).toBe('ended');
    expect(job.log).toContain(`Committed the image sha256:${hex}`);
    expect(resultsOf(job)).toEqual({
      artifact: digestOf(manifest),
      kind: 'image',
      refs: { 'app/web/x86_64/main': hex },
      objects: 4,
      bytes: objects.reduce((sum, { bytes }) => sum + bytes.byteLength, 0),
    });
    const build = await world.build(id);
    expect(build.state).toEqual({ status: 'ready' });
    const artifact = await getArtifact(world.ports.records, 'web', digestOf(manifest));
    expect(artifact).toMatchObject({ kind: 'image', reference: '', manifest: build.artifact?.manifest });
    const listed = await readManifest(world.store.objects, build.artifact!.manifest);
    expect([...listed.entries.keys()].sort()).toEqual(objects.map(({ name }) => name).sort());
    expect(listed.head).toEqual({
      kind: 'image',
      digest: digestOf(manifest),
      refs: [{ ref: 'app/web/x86_64/main', commit: hex }],
    });
  });

  it('names everything that is missing at once, and is done when that is sent', async () => {
    const { made, layers, objects, hex } = await simpleImage('parts missing');
    const config = objects.find(({ bytes }) => Buffer.from(bytes).includes('rootfs'))!;
    const gone = [config.name, `${hexOf(layers[0]!.bytes)}.blob`];
    await world.upload(id, without(objects, ...gone));
    await world.ref(id, hex);
    const job = await world.commit(id);
    expect(await untold(job, ...gone.map((name) => `${name} is missing`))).toEqual([]);
    expect(await missingObjects(world.ports, id, [...made.entries.keys()])).toEqual(
      [...made.entries.keys()].filter((name) => gone.includes(name)),
    );
    await world.upload(id, objects);
    expect((await world.commit(id)).state.status).toBe('ended');
  });

  it('of several platforms takes the index, attestations and all', async () => {
    const { made, objects } = image();
    const layer = await makeLayer({ a: 'same in both' });
    const [amd, arm] = [made.image([layer]), made.image([layer], { architecture: 'arm64' })];
    const statement = JSON.stringify({ _type: 'https://in-toto.io/Statement/v0.1' });
    const attestation = JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: made.describe('application/vnd.oci.image.config.v1+json', '{"architecture":"unknown","os":"unknown"}'),
      layers: [made.describe('application/vnd.in-toto+json', statement)],
    });
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: indexType,
      manifests: [
        { ...made.describe(manifestType, amd), platform: { os: 'linux', architecture: 'amd64' } },
        { ...made.describe(manifestType, arm), platform: { os: 'linux', architecture: 'arm64' } },
        { ...made.describe(manifestType, attestation), platform: { os: 'unknown', architecture: 'unknown' } },
      ],
    });
    made.add(index);
    await world.upload(id, objects());
    await world.ref(id, hexOf(index));
    const job = await world.commit(id);
    expect(resultsOf(job)).toMatchObject({ artifact: digestOf(index), kind: 'image', objects: made.entries.size });
  });

  it('assembles an index of the images of several refs, which is the same whenever it is made', async () => {
    const [amd, arm] = [await simpleImage('two'), await simpleImage('two', { architecture: 'arm64' })];
    const artifacts: unknown[] = [];
    for (const build of [id, await world.create('web')]) {
      await world.upload(build, [...amd.objects, ...arm.objects]);
      await world.ref(build, amd.hex, { ref: 'app/web/x86_64/main', kind: 'image' });
      await world.ref(build, arm.hex, { ref: 'app/web/aarch64/main' });
      const job = await world.commit(build);
      artifacts.push(resultsOf(job)['artifact']);
    }
    expect(artifacts[0]).toBe(artifacts[1]);
    const chunks: Uint8Array[] = [];
    for await (const chunk of await world.store.objects.read(artifacts[0] as Digest)) chunks.push(chunk);
    const index: unknown = JSON.parse(Buffer.concat(chunks).toString());
    expect(index).toMatchObject({
      schemaVersion: 2,
      mediaType: indexType,
      manifests: [
        { digest: `sha256:${amd.hex}`, platform: { os: 'linux', architecture: 'amd64' } },
        { digest: `sha256:${arm.hex}`, platform: { os: 'linux', architecture: 'arm64' } },
      ],
    });
  });

  it.each([
    [
      'a layer of another size than its manifest says',
      (_: Committed, layer: { digest: Digest; size: number }) => ({ layers: [{ ...layer, size: layer.size + 1 }] }),
      /has \d+ bytes and not the \d+ that are said of it/,
    ],
    [
      'a layer that may not be stored',
      (_: Committed, layer: object) => ({
        layers: [{ ...layer, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' }],
      }),
      'may not be stored',
    ],
    [
      'a configuration of more layers than it has',
      (made: Committed, layer: object) => ({
        layers: [layer],
        config: made.describe(
          'application/vnd.oci.image.config.v1+json',
          JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { diff_ids: ['sha256:1', 'sha256:2'] } }),
        ),
      }),
      'is of an image of 2 layers and not of 1',
    ],
    [
      'a manifest that is an index as well',
      (_: Committed, layer: object) => ({ layers: [layer], manifests: [] }),
      'at once',
    ],
  ])('refuses %s', async (what, change, words) => {
    const { made, objects } = image();
    const layer = made.describe('application/vnd.oci.image.layer.v1.tar+gzip', Buffer.from(`a layer for ${what}`));
    const config = made.describe('application/vnd.oci.image.config.v1+json', '{"os":"linux","architecture":"amd64"}');
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, ...change(made, layer) });
    made.add(manifest);
    await world.upload(id, objects());
    await world.ref(id, hexOf(manifest));
    expect(await untold(await world.commit(id), words)).toEqual([]);
  });

  it('refuses indexes too deep within each other, and one of nothing', async () => {
    const { made, objects } = image();
    let named = made.describe(manifestType, made.image([await makeLayer({ deep: 'down' })]));
    for (let depth = 0; depth < 5; depth += 1) {
      const index = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [named] });
      named = made.describe(indexType, index);
    }
    await world.upload(id, objects());
    await world.ref(id, named.digest.slice(7));
    expect(await untold(await world.commit(id), 'too deep')).toEqual([]);
    const empty = blob(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [] }));
    const other = await world.create('web');
    await world.upload(other, [empty]);
    await world.ref(other, empty.hex);
    expect(await untold(await world.commit(other), 'is an index of no image')).toEqual([]);
  });

  it('walks through what an index names ten thousand times but once', async () => {
    const { made, objects } = image();
    let named: { digest: Digest } & object = made.describe(
      manifestType,
      made.image([await makeLayer({ again: 'and again' })]),
    );
    for (let depth = 0; depth < 3; depth += 1) {
      const manifests = Array.from({ length: 10_000 }, () => named);
      named = made.describe(indexType, JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests }));
    }
    await world.upload(id, objects());
    await world.ref(id, named.digest.slice(7));
    expect((await world.commit(id)).state.status).toBe('ended');
  });
});

describe('a commit of a bundle', () => {
  it('makes an artifact of it, whose digest is that of the bundle', async () => {
    const made = bundle('some program');
    await world.upload(id, [made]);
    await world.ref(id, made.hex, { kind: 'bundle' });
    const job = await world.commit(id);
    expect(resultsOf(job)).toMatchObject({ artifact: `sha256:${made.hex}`, kind: 'bundle', objects: 1 });
    const artifact = await getArtifact(world.ports.records, 'web', `sha256:${made.hex}`);
    expect(artifact).toMatchObject({
      kind: 'bundle',
      reference: `sha256:${made.hex}`,
      sizeBytes: made.bytes.byteLength,
    });
  });

  it.each([
    ['two bundles', [bundle('one of two'), bundle('two of two')], 'more than one bundle'],
    ['what is neither', [blob('just some text')], 'neither an image manifest nor a tar.gz archive'],
    ['nothing at all', [blob('')], 'neither an image manifest nor a tar.gz archive'],
  ] as const)('refuses %s', async (_, objects, words) => {
    await world.upload(id, objects);
    for (const [index, { hex }] of objects.entries()) await world.ref(id, hex, { ref: `app/web/x86_64/b${index}` });
    expect(await untold(await world.commit(id), words)).toEqual([]);
  });

  it('refuses another kind than was said', async () => {
    const made = bundle('said to be an image');
    await world.upload(id, [made]);
    await world.ref(id, made.hex, { kind: 'image' });
    expect(await untold(await world.commit(id), 'was said to be of the kind image')).toEqual([]);
  });
});

describe('a commit of an OSTree repository', () => {
  const commit = golden.commits.last.name.slice(0, 64);
  const { files, folders, dirmeta, commits } = golden;
  const objects = [...Object.values(files), ...Object.values(folders), dirmeta, commits.last];
  it('takes a commit with its trees and files, and the pieces of its delta', async () => {
    const to = Buffer.from(commit, 'hex').toString('base64').replace(/=+$/, '').replaceAll('/', '_');
    const delta = { name: `${to}.superblock.delta`, bytes: Buffer.from('a delta') };
    await world.upload(id, [...objects, delta]);
    await world.ref(id, commit);
    const job = await world.commit(id);
    expect(job.log).toContain('Committed the ostree');
    const { artifact } = await world.build(id);
    expect(artifact?.digest).toBe(artifact?.manifest);
    const { entries } = await readManifest(world.store.objects, artifact!.manifest);
    expect([...entries.keys()].sort()).toEqual([...objects, delta].map(({ name }) => name).sort());
  });

  it('names each object that is missing, of whatever kind', async () => {
    const gone = [dirmeta.name, files.plain.name, folders.files.name];
    await world.upload(id, without(objects, ...gone));
    await world.ref(id, commit);
    const job = await world.commit(id);
    // Behind a tree that is not there nothing can be seen.
    expect(await untold(job, `${dirmeta.name} is missing`, `${folders.files.name} is missing`)).toEqual([]);
    await world.upload(
      id,
      objects.filter(({ name }) => name === gone[2]),
    );
    expect(await untold(await world.commit(id), ...gone.slice(0, 2).map((name) => `${name} is missing`))).toEqual([]);
    await world.upload(id, objects);
    expect((await world.commit(id)).state.status).toBe('ended');
  });

  it('takes what its environment has published already, and of no other', async () => {
    await world.upload(id, objects);
    await world.ref(id, commit);
    await world.commit(id);
    await world.publish(id);
    const again = await world.create('web');
    expect(
      await missingObjects(
        world.ports,
        again,
        objects.map(({ name }) => name),
      ),
    ).toEqual([]);
    await world.ref(again, commit);
    expect((await world.commit(again)).state.status).toBe('ended');
    const elsewhere = await world.create('web', 'test');
    expect(
      await missingObjects(
        world.ports,
        elsewhere,
        objects.map(({ name }) => name),
      ),
    ).toHaveLength(objects.length);
    await world.ref(elsewhere, commit);
    expect(await untold(await world.commit(elsewhere), commit)).toEqual([]);
  });
});

describe('a commit', () => {
  it('refuses a build of two kinds', async () => {
    const [made, packed] = [await simpleImage('mixed'), bundle('mixed')];
    await world.upload(id, [...made.objects, packed]);
    await world.ref(id, made.hex, { ref: 'app/web/x86_64/a' });
    await world.ref(id, packed.hex, { ref: 'app/web/x86_64/b' });
    expect(await untold(await world.commit(id), 'holds bundle and image: a build is of one kind')).toEqual([]);
  });

  it('refuses a build of no refs', async () => {
    await world.upload(id, [bundle('no refs')]);
    expect(await untold(await world.commit(id), 'has no refs')).toEqual([]);
  });

  it('names each stray, and leaves them out where that is asked', async () => {
    const made = bundle('with strays');
    const strays = [blob('stray one'), blob('stray two'), golden.files.plain];
    await world.upload(id, [made, ...strays]);
    await world.ref(id, made.hex);
    expect(
      await untold(await world.commit(id), ...strays.map(({ name }) => `${name} belongs to none of the refs`)),
    ).toEqual([]);
    const job = await world.commit(id, true);
    expect(resultsOf(job)).toMatchObject({ kind: 'bundle', objects: 1, bytes: made.bytes.byteLength });
  });

  it('says what the store has lost, and takes it when it is sent again', async () => {
    const { objects, hex, layers } = await simpleImage('lost');
    await world.upload(id, objects);
    await world.ref(id, hex);
    const lost = [`${hexOf(layers[0]!.bytes)}.blob`, `${hex}.blob`];
    for (const name of lost) await world.store.objects.remove(`sha256:${name.slice(0, 64)}`);
    expect(await untold(await world.commit(id), `${lost[1]} is missing`)).toEqual([]);
    await world.upload(
      id,
      objects.filter(({ name }) => name === lost[1]),
    );
    expect(await untold(await world.commit(id), `${lost[0]} is missing`)).toEqual([]);
    // The client asks what is missing, as it does: what is lost is, though it was sent once.
    expect(
      await missingObjects(
        world.ports,
        id,
        objects.map(({ name }) => name),
      ),
    ).toEqual([lost[0]]);
    await world.upload(
      id,
      objects.filter(({ name }) => name === lost[0]),
    );
    expect((await world.commit(id)).state.status).toBe('ended');
  });

  it('is refused for a build that is being committed, is committed, or is purged', async () => {
    const made = bundle('once');
    await world.upload(id, [made]);
    await world.ref(id, made.hex);
    const [first, second] = await Promise.allSettled([world.commit(id), world.commit(id)]);
    expect([first.status, second.status].sort()).toEqual(['fulfilled', 'rejected']);
    expect((await refusal(world.commit(id))).states).toEqual({ current: 'ready', expected: 'uploading' });
    expect((await refusal(world.upload(id, [made]))).kind).toBe('wrong-repo-state');
    expect((await refusal(world.ref(id, made.hex, { ref: 'app/web/x86_64/other' }))).kind).toBe('wrong-repo-state');
  });

  it('does not depend on what the environment publishes while it is at it', async () => {
    // The pointer names a list of objects that cannot be read.
    const lost = `sha256:${'0'.repeat(64)}` as const;
    const made = bundle('beside a lost one');
    await world.apply('shop', alone);
    await movePointer(
      world.ports.records,
      { app: 'shop', environment: 'test' },
      { artifact: lost, kind: 'bundle', manifest: lost, jobId: 1, at: 1, by: 'ann' },
    );
    const build = await world.create('shop', 'test');
    expect(await missingObjects(world.ports, build, [made.name])).toEqual([made.name]);
    await world.upload(build, [made]);
    await world.ref(build, made.hex, { ref: 'app/shop/x86_64/main' });
    expect((await world.commit(build)).state.status).toBe('ended');
  });
});

describe('the closure of an image', () => {
  type Node = { readonly children: readonly number[]; readonly layers: number };
  /** Manifests and indexes that name each other downwards, some of whose blobs are not there. */
  const graph = fc
    .array(fc.record({ children: fc.array(fc.nat(20), { maxLength: 4 }), layers: fc.nat(3) }), {
      minLength: 1,
      maxLength: 7,
    })
    .chain((nodes) => fc.record({ nodes: fc.constant(nodes), gone: fc.array(fc.nat(30), { maxLength: 3 }) }));

  it('is all that is named, or names what is not there', async () => {
    await fc.assert(
      fc.asyncProperty(graph, async ({ nodes, gone }) => {
        const { made, root, depthOf } = imageOf(nodes);
        const names = [...made.entries.keys()];
        const missing = new Set(gone.map((index) => names[index % names.length]!));
        const stored = new Map<string, Entry>([...made.entries].filter(([name]) => !missing.has(name)));
        const objects = storeOf(made);
        const presence = { own: { stored, declared: new Map() }, published: new Map() };
        const refs = [{ id: 1, ref: 'app/web/x86_64/main', commit: root, buildLogUrl: null }];
        const closure = await closureOf(objects, { refs }, presence);
        const reachable = reach(made, root, stored);
        const lacking = [...reachable].filter((name) => missing.has(name));
        // One that is named too deep down may be met less deep before.
        fc.pre(depthOf <= 3);
        expect(closure.issues).toEqual(expect.arrayContaining(lacking.map((name) => ({ name, issue: 'is missing' }))));
        expect(closure.issues.length).toBe(lacking.length);
        if (lacking.length > 0) return;
        expect([...closure.entries.keys()].sort()).toEqual([...reachable].sort());
        expect([...closure.strays].sort()).toEqual([...stored.keys()].filter((name) => !reachable.has(name)).sort());
      }),
      { numRuns: 300 },
    );
  });

  function imageOf(nodes: readonly Node[]) {
    const { made } = image();
    const built: { text: string; depth: number; type: string }[] = [];
    for (const [index, { children, layers }] of nodes.entries()) {
      const named = index === 0 ? [] : children.map((child) => built[child % index]!);
      if (named.length === 0) {
        const config = made.describe(
          'application/vnd.oci.image.config.v1+json',
          `{"os":"linux","architecture":"n${index}"}`,
        );
        const described = Array.from({ length: layers }, (_, at) => made.describe('layer', `layer ${index} ${at}`));
        const text = JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers: described });
        made.add(text);
        built.push({ text, depth: 0, type: manifestType });
      } else {
        const manifests = named.map(({ text, type }) => made.describe(type, text));
        const text = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests });
        made.add(text);
        built.push({ text, depth: 1 + Math.max(...named.map(({ depth }) => depth)), type: indexType });
      }
    }
    const last = built.at(-1)!;
    return { made, root: hexOf(last.text), depthOf: last.depth };
  }

  function storeOf(made: Committed): Pick<Objects, 'read'> {
    return {
      read: async (digest) =>
        (async function* () {
          yield made.blobs.get(digest) ?? Buffer.alloc(0);
        })(),
    };
  }

  /** By another way than the code's: every digest in the text of a blob that is there. */
  function reach(made: Committed, root: string, stored: ReadonlyMap<string, Entry>): ReadonlySet<string> {
    const found = new Set<string>([`${root}.blob`]);
    for (const name of found) {
      if (!stored.has(name)) continue;
      const text = made.blobs.get(`sha256:${name.slice(0, 64)}`)?.toString() ?? '';
      for (const [, hex] of text.matchAll(/sha256:([0-9a-f]{64})/g)) found.add(`${hex}.blob`);
    }
    return found;
  }
});
