import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { openGate, shutGate } from '../../functions/artifacts/prune-gate.ts';
import { acceptObjects } from '../../functions/builds/accept.ts';
import { readContents } from '../../functions/builds/contents.ts';
import { missingObjects } from '../../functions/builds/present.ts';
import { purgeBuild } from '../../functions/builds/purge.ts';
import { usedBytes } from '../../functions/builds/usage.ts';
import type { Records } from '../../functions/ports/records.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import {
  alone,
  blob,
  buildsService,
  bundle,
  chunked,
  refusal,
  sent,
  type BuildsService,
  type NamedBytes,
} from '../support/builds-service.ts';
import { plainRecords } from '../support/records.ts';
import { files } from './objects/ostree-golden.ts';

const open: BuildsService[] = [];
afterEach(async () => {
  for (const service of open.splice(0)) await service.close();
});
async function service(limits: Parameters<typeof buildsService>[0] = {}): Promise<BuildsService> {
  const made = await buildsService(limits);
  open.push(made);
  await made.apply('web', alone);
  return made;
}

/** The same records as another process has them. */
const fresh = (records: Records): Records => ({ ...records });
const contentsOf = async ({ stores }: BuildsService, id: number) => await readContents(fresh(stores.records), id);
const namesIn = async (world: BuildsService, id: number) => [...(await contentsOf(world, id)).stored.keys()].sort();
const sizeOf = (objects: readonly NamedBytes[]) => objects.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
const thing = (name: string, body: AsyncIterable<Uint8Array>) => ({ filename: name, body });
const delta = (text: string): NamedBytes => ({ name: `${'A'.repeat(43)}.superblock.delta`, bytes: Buffer.from(text) });

describe('objects that are put into a build', () => {
  it('are there when it is answered, with their sizes in their order', async () => {
    const world = await service();
    const id = await world.create('web');
    const objects = [blob('one'), blob('two two'), files.plain, delta('x'), blob('')];
    expect(await world.upload(id, objects)).toEqual(objects.map(({ bytes }) => bytes.byteLength));
    expect(await namesIn(world, id)).toEqual(objects.map(({ name }) => name).sort());
    expect((await world.build(id)).uploaded).toEqual({ objects: 5, bytes: sizeOf(objects) });
    expect(await usedBytes(world.ports.records, 'web')).toBe(sizeOf(objects));
  });

  it('are one object when they are sent twice, also at once', async () => {
    const world = await service();
    const id = await world.create('web');
    const objects = [blob('one'), blob('two')];
    await Promise.all([
      world.upload(id, objects),
      world.upload(id, objects),
      world.upload(id, [...objects, ...objects]),
    ]);
    await world.upload(id, objects);
    expect(await namesIn(world, id)).toEqual(objects.map(({ name }) => name).sort());
    expect(
      await missingObjects(
        world.ports,
        id,
        objects.map(({ name }) => name),
      ),
    ).toEqual([]);
  });

  it('count what they weigh, however many are sent at once', async () => {
    const world = await service();
    const id = await world.create('web');
    const objects = Array.from({ length: 24 }, (_, index) => blob(`object ${index} ${'x'.repeat(index)}`));
    await Promise.all(objects.map(async (object) => await world.upload(id, [object])));
    expect((await world.build(id)).uploaded).toEqual({ objects: 24, bytes: sizeOf(objects) });
    expect(await usedBytes(world.ports.records, 'web')).toBe(sizeOf(objects));
    expect(await namesIn(world, id)).toEqual(objects.map(({ name }) => name).sort());
  });

  it.each([
    ['a digest that is another’s', thing(blob('one').name, chunked(Buffer.from('two'))), 'invalid'],
    ['a name that no object can have', thing('../../etc/passwd', chunked(Buffer.from('two'))), 'invalid'],
    ['a file of another checksum', thing(files.plain.name, chunked(files.executable.bytes)), 'invalid'],
    ['a file that is cut', thing(files.plain.name, chunked(files.plain.bytes.subarray(0, 40))), 'invalid'],
  ])('are refused whole where one of a request has %s', async (_, wrong, kind) => {
    const world = await service();
    const id = await world.create('web');
    async function* request() {
      yield* sent([blob('before')]);
      yield wrong;
      yield* sent([blob('after')]);
    }
    const problem = await refusal(acceptObjects(world.ports, id, request()));
    expect(problem.kind).toBe(kind);
    expect(problem.message).toContain(wrong.filename);
    expect(await namesIn(world, id)).toEqual([]);
    expect((await world.build(id)).uploaded).toEqual({ objects: 0, bytes: 0 });
    expect(await usedBytes(world.ports.records, 'web')).toBe(0);
  });

  it('do not count where the request breaks off', async () => {
    const world = await service();
    const id = await world.create('web');
    async function* breaks(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('on');
      throw new Problem('invalid', 'The body broke off before its end');
    }
    async function* request() {
      yield* sent([blob('before')]);
      yield thing(blob('one').name, breaks());
    }
    expect((await refusal(acceptObjects(world.ports, id, request()))).message).toContain('broke off');
    expect(await namesIn(world, id)).toEqual([]);
    expect(await world.blobs()).not.toContain(`sha256:${blob('one').hex}`);
    await world.upload(id, [blob('before'), blob('one')]);
    expect((await namesIn(world, id)).length).toBe(2);
  });

  it('replace the pieces of a delta that were sent before: who makes them anew makes others', async () => {
    const world = await service();
    const id = await world.create('web');
    await world.upload(id, [delta('the first')]);
    await world.upload(id, [delta('the second')]);
    const digest = createHash('sha256').update('the second').digest('hex');
    expect((await contentsOf(world, id)).stored.get(delta('').name)?.digest).toBe(`sha256:${digest}`);
  });
});

describe('limits', () => {
  const limits = { objectBytes: 100, buildBytes: 250, buildObjects: 4, appBytes: 400 };
  const of = (text: string, bytes: number) => blob(text.repeat(bytes).slice(0, bytes));

  it.each([
    ['an object', [of('a', 101)], 'an object may have'],
    ['the bytes of a build', [of('a', 100), of('b', 100), of('c', 51)], 'has room for'],
    ['the number of a build’s objects', ['a', 'b', 'c', 'd', 'e'].map((text) => of(text, 1)), '4 objects'],
  ])('keep out what is over for %s, and nothing of its request counts', async (_, objects, words) => {
    const world = await service(limits);
    const id = await world.create('web');
    const problem = await refusal(world.upload(id, objects));
    expect(problem.kind).toBe('too-large');
    expect(problem.message).toContain(words);
    expect(await namesIn(world, id)).toEqual([]);
    expect((await world.build(id)).uploaded).toEqual({ objects: 0, bytes: 0 });
    expect(await usedBytes(world.ports.records, 'web')).toBe(0);
  });

  it('keep out what is over for an app, over all its builds, and store nothing of it', async () => {
    const world = await service(limits);
    const [one, two] = [await world.create('web'), await world.create('web', 'test')];
    await world.upload(one, [of('a', 100), of('b', 100)]);
    await world.upload(two, [of('c', 100)]);
    const over = [of('d', 60), of('e', 60)];
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const problem = await refusal(world.upload(two, over));
      expect(problem.kind).toBe('too-large');
      expect(problem.message).toContain('web');
    }
    expect((await world.build(two)).uploaded).toEqual({ objects: 1, bytes: 100 });
    expect(await usedBytes(world.ports.records, 'web')).toBe(300);
    expect(await world.blobs()).not.toContain(`sha256:${over[1]?.hex}`);
    await world.upload(two, [of('f', 100)]);
    expect(await usedBytes(world.ports.records, 'web')).toBe(400);
  });

  it('count what was sent before its build was of an app, for the app it comes to be of', async () => {
    const world = await service(limits);
    const made = of('a', 100);
    const stock = async (text: string) => {
      const id = await world.create(undefined);
      await world.upload(id, [of(text, 100), of(`${text}!`, 100)]);
      return id;
    };
    await world.ref(await stock('a'), made.hex);
    await world.ref(await stock('b'), made.hex);
    expect(await usedBytes(world.ports.records, 'web')).toBe(400);
    const third = await stock('c');
    expect((await refusal(world.ref(third, made.hex))).message).toContain('400 bytes that an app may have');
    expect(await usedBytes(world.ports.records, 'web')).toBe(400);
    expect((await world.build(third)).app).toBeUndefined();
  });

  it('hold for uploads at once: never more is in a build, or an app, than may be', async () => {
    const world = await service({ ...limits, buildObjects: 100 });
    const ids = [await world.create('web'), await world.create('web', 'test')];
    const tries = Array.from({ length: 20 }, (_, index) => ({ id: ids[index % 2] ?? 0, object: of(`${index}-`, 50) }));
    const done = await Promise.allSettled(tries.map(async ({ id, object }) => await world.upload(id, [object])));
    const taken = done.filter(({ status }) => status === 'fulfilled').length;
    expect(taken).toBe(8);
    const builds = await Promise.all(ids.map(async (id) => await world.build(id)));
    expect(builds.reduce((sum, { uploaded }) => sum + uploaded.bytes, 0)).toBe(400);
    expect(builds.every(({ uploaded }) => uploaded.bytes <= 250)).toBe(true);
    expect(await usedBytes(world.ports.records, 'web')).toBe(400);
    const names = (await Promise.all(ids.map(async (id) => await namesIn(world, id)))).flat();
    expect(names.length).toBe(8);
  });

  it('leave nothing behind that would pass for sent: what was over is still missing, and counts when it fits', async () => {
    const world = await service({ ...limits, buildObjects: 2 });
    const id = await world.create('web');
    const three = ['a', 'b', 'c'].map((text) => of(text, 1));
    const names = three.map(({ name }) => name);
    // Asked all the time, as another client of the same build does.
    const asking = new AbortController();
    const other = (async () => {
      while (!asking.signal.aborted) await missingObjects(world.ports, id, names);
    })();
    for (let attempt = 0; attempt < 10; attempt += 1) await refusal(world.upload(id, three));
    asking.abort();
    await other;
    expect(await missingObjects(world.ports, id, names)).toEqual(names);
    await world.upload(id, three.slice(0, 2));
    expect(await namesIn(world, id)).toEqual(names.slice(0, 2).sort());
    expect(await missingObjects(world.ports, id, names)).toEqual(names.slice(2));
  });
});

describe('what was acknowledged', () => {
  it('stays when another request that sent the same is refused', async () => {
    const world = await service({ buildObjects: 2 });
    const id = await world.create('web');
    const [shared, second, third] = [blob('shared'), blob('second'), blob('third')];
    // The refused one has its entries written down, and is held up before it is told that they are too many.
    const held = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const slow = heldUp(world, id, { reached, held });
    const refused = refusal(acceptObjects(slow, id, sent([shared, second, third])));
    await reached.promise;
    await world.upload(id, [shared]);
    held.resolve();
    expect((await refused).kind).toBe('too-large');
    expect(await namesIn(world, id)).toEqual([shared.name]);
    expect(await missingObjects(world.ports, id, [shared.name, second.name])).toEqual([second.name]);
  });

  it('is in the commit, or was refused: an upload is never half in it', async () => {
    const world = await service();
    const made = bundle('the bundle');
    for (let round = 0; round < 12; round += 1) {
      const id = await world.create('web');
      await world.upload(id, [made]);
      await world.ref(id, made.hex);
      const stray = [blob(`stray ${round}`), blob(`and another ${round}`)];
      const upload = world.upload(id, stray).then(
        () => 'taken',
        (error: unknown) => (error instanceof Problem ? error.kind : 'broke'),
      );
      if (round % 3 > 0) await new Promise((resolve) => setTimeout(resolve, round % 3));
      const job = await world.commit(id);
      const outcome = await upload;
      const build = await world.build(id);
      if (outcome === 'taken') {
        // It came before the commit, which saw all of it.
        expect(job.state.status).toBe('broken');
        for (const { name } of stray) expect(job.log).toContain(name);
        expect(build.state.status).toBe('uploading');
      } else {
        expect(outcome).toBe('wrong-repo-state');
      }
    }
  });

  it('is refused to a build that is purged, and nothing of it stays', async () => {
    const world = await service();
    const id = await world.create('web');
    const held = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const upload = refusal(acceptObjects(heldUp(world, id, { reached, held }), id, sent([blob('late')])));
    await reached.promise;
    await purgeBuild(world.ports, id);
    held.resolve();
    const problem = await upload;
    expect([problem.kind, problem.states]).toEqual(['wrong-repo-state', { current: 'purged', expected: 'uploading' }]);
    expect((await world.stores.records.list({ partition: `contents/${id}` })).items).toEqual([]);
    expect(await usedBytes(world.ports.records, 'web')).toBe(0);
    expect((await refusal(world.upload(id, [blob('later')]))).kind).toBe('wrong-repo-state');
  });
});

describe('while objects are swept', () => {
  it('none is taken in, and whoever was at it is asked to send again', async () => {
    const world = await service();
    const id = await world.create('web');
    const object = blob('one');
    const held = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    async function* slow() {
      began.resolve();
      await held.promise;
      yield* chunked(object.bytes);
    }
    async function* request() {
      yield thing(object.name, slow());
    }
    const upload = refusal(acceptObjects(world.ports, id, request()));
    await began.promise;
    const sweep = await shutGate(world.ports, 60_000);
    expect((await refusal(world.upload(id, [object]))).kind).toBe('busy');
    held.resolve();
    expect((await upload).kind).toBe('busy');
    await openGate(world.ports, sweep);
    expect(await namesIn(world, id)).toEqual([]);
    // What was swept away in between has to be sent again, so it must count as missing.
    expect(await missingObjects(world.ports, id, [object.name])).toEqual([object.name]);
    expect((await world.build(id)).uploaded).toEqual({ objects: 0, bytes: 0 });
    await world.upload(id, [object]);
    expect(await namesIn(world, id)).toEqual([object.name]);
  });

  it('a gate whose keeper was killed opens by itself', async () => {
    const world = await service();
    const id = await world.create('web');
    await shutGate(world.ports, 60_000);
    expect((await refusal(world.upload(id, [blob('one')]))).kind).toBe('busy');
    world.pass(60_001);
    expect(await world.upload(id, [blob('one')])).toEqual([3]);
  });

  it('one who lost the gate does not open it for another', async () => {
    const world = await service();
    const id = await world.create('web');
    const lost = await shutGate(world.ports, 60_000);
    world.pass(60_001);
    await shutGate(world.ports, 60_000);
    await openGate(world.ports, lost);
    expect((await refusal(world.upload(id, [blob('one')]))).kind).toBe('busy');
  });
});

/** Ports that are held up when the first entries of a build are written down, and not counted yet. */
function heldUp(
  world: BuildsService,
  id: number,
  { reached, held }: { reached: PromiseWithResolvers<void>; held: PromiseWithResolvers<void> },
): BuildsService['ports'] {
  let isFirst = true;
  const { records } = world.ports;
  const create: Records['create'] = async (key, value, options) => {
    const created = await records.create(key, value, options);
    if (isFirst && key.partition === `contents/${id}`) {
      isFirst = false;
      reached.resolve();
      await held.promise;
    }
    return created;
  };
  return { ...world.ports, records: { ...plainRecords(records), create } };
}
