import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readContents } from '../../functions/builds/contents.ts';
import { declareUploads, type DeclaredObject, type Transfer } from '../../functions/builds/declare.ts';
import { missingObjects } from '../../functions/builds/present.ts';
import { purgeBuild } from '../../functions/builds/purge.ts';
import { usedBytes } from '../../functions/builds/usage.ts';
import { reconcile } from '../../functions/deployments/reconcile.ts';
import { alone, blob, buildsService, bundle, refusal, type BuildsService } from '../support/builds-service.ts';
import { digestOf } from '../support/committed.ts';
import { killEvery } from '../support/density.ts';
import { files } from './objects/ostree-golden.ts';

let world: BuildsService;
let id: number;
beforeAll(async () => {
  world = await buildsService({ objectBytes: 40 * 1024 ** 2 });
  await world.apply('web', alone);
  await world.apply('shop', alone);
});
afterAll(async () => await world.close());
beforeEach(async () => {
  id = await world.create('web');
});

const declared = (made: { name: string; bytes: Uint8Array }): DeclaredObject => ({
  name: made.name,
  sizeBytes: made.bytes.byteLength,
  ...(made.name.endsWith('.blob') ? {} : { digest: digestOf(made.bytes) }),
});
const declare = async (...objects: readonly { name: string; bytes: Uint8Array }[]) =>
  await declareUploads(world.ports, id, objects.map(declared));
/** Sends some of the parts that are missing. */
async function send(transfer: Transfer | undefined, bytes: Uint8Array, some = Infinity): Promise<number[]> {
  if (transfer?.status !== 'open') throw new Error(`It is ${transfer?.status}`);
  return await Promise.all(
    transfer.missing.slice(0, some).map(async ({ offsetBytes, sizeBytes, put }) => {
      const body = Buffer.from(bytes.subarray(offsetBytes, offsetBytes + sizeBytes));
      return (await fetch(put.url, { method: 'PUT', headers: put.headers, body })).status;
    }),
  );
}
const large = (seed: number) => {
  const bytes = Buffer.alloc(17 * 1024 ** 2, seed);
  // A bundle by its first bytes; what is behind them nobody here unpacks.
  bytes.set([0x1f, 0x8b]);
  return blob(bytes);
};

describe('an object that is sent in parts', () => {
  it('is the build’s when its commit has finished it', async () => {
    const made = large(1);
    const [transfer] = await declare(made);
    expect(transfer).toMatchObject({ name: made.name, status: 'open', partCount: 3, missingCount: 3 });
    expect(await missingObjects(world.ports, id, [made.name])).toEqual([made.name]);
    expect(await send(transfer, made.bytes)).toEqual([200, 200, 200]);
    await world.ref(id, made.hex);
    const job = await world.commit(id);
    expect(job.state.status).toBe('ended');
    expect(job.log).toContain(`Verified ${made.name} (${made.bytes.byteLength} bytes)`);
    expect((await world.build(id)).uploaded).toEqual({ objects: 1, bytes: made.bytes.byteLength });
  });

  it('is asked for again after a kill, and only what is missing', async () => {
    const made = large(2);
    await send((await declare(made))[0], made.bytes, 2);
    const [again] = await declare(made);
    expect(again).toMatchObject({ status: 'open', missingCount: 1 });
    await send(again, made.bytes);
    expect((await declare(made))[0]).toMatchObject({ status: 'open', missingCount: 0 });
    // It counts once, however often it is asked for.
    expect((await world.build(id)).uploaded).toEqual({ objects: 1, bytes: made.bytes.byteLength });
    await world.ref(id, made.hex);
    expect((await world.commit(id)).state.status).toBe('ended');
  });

  it('that is not whole is told as such, and sent on', async () => {
    const made = large(3);
    await send((await declare(made))[0], made.bytes, 1);
    await world.ref(id, made.hex);
    const job = await world.commit(id);
    expect(job.log).toContain(`${made.name} was announced, but is not there whole`);
    expect((await world.build(id)).state.status).toBe('uploading');
    const [again] = await declare(made);
    expect(again).toMatchObject({ missingCount: 2 });
    await send(again, made.bytes);
    expect((await world.commit(id)).state.status).toBe('ended');
  });

  it('with other bytes than announced is named by the commit, and sent anew', async () => {
    const [made, good] = [large(4), bundle('beside a wrong one')];
    const wrong = Buffer.from(made.bytes);
    wrong[5] = 7;
    await world.upload(id, [good]);
    await send((await declare(made))[0], wrong);
    await world.ref(id, made.hex);
    const job = await world.commit(id);
    expect(job.state).toMatchObject({ status: 'broken' });
    expect(job.log).toContain(`${made.name} was sent with other bytes than announced, and is to be sent anew`);
    const [again] = await declare(made);
    expect(again).toMatchObject({ status: 'open', missingCount: 3 });
    await send(again, made.bytes);
    expect((await world.commit(id, true)).state.status).toBe('ended');
  });

  it('by a name that is not its digest has to be what the name says as well', async () => {
    const lie = { name: files.plain.name, bytes: files.executable.bytes };
    await send((await declare(lie))[0], lie.bytes);
    const made = bundle('with a file');
    await world.upload(id, [made]);
    await world.ref(id, made.hex);
    const job = await world.commit(id);
    expect(job.log).toContain(`${files.plain.name} was sent with other bytes than announced`);
    await send((await declare(files.plain))[0], files.plain.bytes);
    expect((await world.commit(id, true)).state.status).toBe('ended');
    expect((await readContents({ ...world.stores.records }, id)).stored.size).toBe(1);
  });

  it('under two names is sent once', async () => {
    const made = bundle('under two names');
    const other = { name: made.name.replace('.blob', '.dirmeta'), bytes: made.bytes };
    const [transfer] = await declare(made, other);
    await send(transfer, made.bytes);
    expect((await declare(other))[0]).toMatchObject({ missingCount: 0 });
    await world.ref(id, made.hex);
    const job = await world.commit(id);
    expect(job.log).toContain(`Verified ${made.name}`);
    expect(job.log).toContain(`${other.name} belongs to none of the refs`);
    expect((await world.commit(id, true)).state.status).toBe('ended');
  });

  it('that is never whole keeps no commit from its end, however many there are', async () => {
    const made = bundle('beside many that are not whole');
    await world.upload(id, [made]);
    await world.ref(id, made.hex);
    const never = Array.from({ length: 40 }, (_, index) => ({
      name: `${digestOf(`never ${index}`).slice(7)}.blob`,
      sizeBytes: 5,
    }));
    await declareUploads(world.ports, id, never);
    // Each look at one takes so long that no step comes to the last of them within its time.
    world.outside.beforeObject = (operation) => {
      if (operation === 'finishUpload') world.pass(10_000);
    };
    const job = await world.commit(id);
    world.outside.beforeObject = () => {};
    expect(job.state.status).toBe('ended');
  });

  it('must be sent though another app has the very same: who has not got the bytes is told nothing of them', async () => {
    const made = large(5);
    const others = await world.create('shop');
    await world.upload(others, [made]);
    const [transfer] = await declare(made);
    expect(transfer).toMatchObject({ status: 'open', missingCount: 3 });
    await world.ref(id, made.hex);
    const job = await world.commit(id);
    expect(job.log).toContain(`${made.name} was announced, but is not there whole`);
    const [again] = await declare(made);
    await send(again, made.bytes);
    expect((await world.commit(id)).state.status).toBe('ended');
  });

  it('is finished, wherever the worker of its commit is killed', { timeout: 60_000 }, async () => {
    for (let at = 1; ; at += killEvery(5)) {
      id = await world.create('web');
      const [made, file] = [bundle(`killed at ${at}`), files.plain];
      for (const [index, transfer] of (await declare(made, file)).entries()) {
        await send(transfer, index === 0 ? made.bytes : file.bytes);
      }
      await world.ref(id, made.hex);
      world.death.killAt({ at, when: at % 2 === 0 ? 'before' : 'after' });
      await world.death.live(async () => await world.commit(id, true));
      const wasKilled = !world.death.isWaiting();
      world.death.spare();
      if (wasKilled) {
        await world.loseWorkflow();
        world.pass(61_000);
        await reconcile(world.ports);
      }
      const { commitJobId } = await world.build(id);
      const job = commitJobId === undefined ? await world.commit(id, true) : await world.ended(commitJobId);
      expect([at, job.state.status, job.log.match(/^Committed/gm)?.length]).toEqual([at, 'ended', 1]);
      expect((await readContents({ ...world.stores.records }, id)).declared.size).toBe(0);
      expect(await world.blobs()).toContain(`sha256:${made.hex}`);
      if (!wasKilled) return expect(at).toBeGreaterThan(12);
    }
  });

  it('is kept out where it is over a limit, and nothing of the call counts', async () => {
    const used = await usedBytes(world.ports.records, 'web');
    const fits = blob('fits');
    const over: DeclaredObject = { name: `${'a'.repeat(64)}.blob`, sizeBytes: 40 * 1024 ** 2 + 1 };
    const problem = await refusal(declareUploads(world.ports, id, [declared(fits), over]));
    expect(problem.kind).toBe('too-large');
    expect(problem.message).toContain(over.name);
    expect((await world.build(id)).uploaded).toEqual({ objects: 0, bytes: 0 });
    expect(await usedBytes(world.ports.records, 'web')).toBe(used);
    expect((await readContents({ ...world.stores.records }, id)).declared.size).toBe(0);
  });

  it.each([
    ['a digest that is not the name’s', { name: `${'a'.repeat(64)}.blob`, sizeBytes: 1, digest: digestOf('b') }],
    ['no digest where the name is none', { name: files.plain.name, sizeBytes: 1 }],
    ['no bytes', { name: `${'a'.repeat(64)}.blob`, sizeBytes: 0 }],
    ['no name of an object', { name: 'anything', sizeBytes: 1 }],
  ] as const)('is refused with %s', async (_, wrong) => {
    expect((await refusal(declareUploads(world.ports, id, [wrong]))).kind).toBe('invalid');
    expect((await world.build(id)).uploaded.objects).toBe(0);
  });

  it('counts once when it is named twice in one call, and is not asked for when it was put here whole', async () => {
    const [made, there] = [large(7), blob('put here whole')];
    await world.upload(id, [there]);
    const transfers = await declare(made, there, made);
    expect(transfers.map(({ name, status }) => [name, status])).toEqual([
      [made.name, 'open'],
      [there.name, 'stored'],
      [made.name, 'open'],
    ]);
    expect((await world.build(id)).uploaded.objects).toBe(2);
  });

  it('that is a piece of a delta is sent again when it was made anew', async () => {
    const name = `${'A'.repeat(43)}.0.delta`;
    const [first, second] = ['the first', 'the second'].map((text) => ({ name, bytes: Buffer.from(text) }));
    await world.upload(id, [first!]);
    expect((await declare(first!))[0]?.status).toBe('stored');
    const [transfer] = await declare(second!);
    await send(transfer, second!.bytes);
    const made = bundle('with a delta');
    await world.upload(id, [made]);
    await world.ref(id, made.hex);
    await world.commit(id);
    expect((await readContents({ ...world.stores.records }, id)).stored.get(name)?.digest).toBe(
      digestOf(second!.bytes),
    );
  });

  it('is forgotten when its build is purged', async () => {
    const made = large(8);
    const [transfer] = await declare(made);
    await send(transfer, made.bytes, 1);
    await purgeBuild(world.ports, id);
    expect(await send(transfer, made.bytes, 1)).toEqual([409]);
    expect((await refusal(declare(made))).kind).toBe('wrong-repo-state');
  });
});
