import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { v7 } from 'uuid';
import {
  addEntries,
  forgetContents,
  readContents,
  recallContents,
  withdrawEntries,
  type Contents,
  type NamedEntry,
} from '../../functions/builds/contents.ts';
import type { Records } from '../../functions/ports/records.ts';
import { openTestRecords } from '../support/records.ts';

let stores: Awaited<ReturnType<typeof openTestRecords>>;
let builds = 0;
beforeAll(async () => {
  stores = await openTestRecords();
});
afterAll(async () => await stores.close());

/** The records as another process has them: it remembers nothing of what the first one has read. */
const another = (): Records => ({ ...stores.records });
const nextBuild = () => (builds += 1);
const hexOf = (text: string) => createHash('sha256').update(text).digest('hex');
const entry = (text: string, sizeBytes = text.length): NamedEntry => ({
  name: `${hexOf(text)}.blob`,
  digest: `sha256:${hexOf(text)}`,
  sizeBytes,
});
const asked = async (records: Records, id: number, objects = 0) =>
  await recallContents(records, { id, uploaded: { objects, bytes: 0 } });
const shown = ({ stored, declared }: Contents) => ({
  stored: [...stored].sort(([a], [b]) => (a < b ? -1 : 1)),
  declared: [...declared].sort(([a], [b]) => (a < b ? -1 : 1)),
});
type Kind = 'stored' | 'declared' | 'dropped';
const add = async (build: number, kind: Kind, entries: readonly NamedEntry[]) =>
  await addEntries({ records: stores.records, newId: v7 }, build, { kind, entries });

describe('the contents of a build', () => {
  it('hold ten thousand names in a few records, with the digests that are not in the names', async () => {
    const build = nextBuild();
    const entries = Array.from({ length: 10_000 }, (_, index) => {
      const one = entry(`object ${index}`);
      return index % 2 === 0 ? one : { ...one, name: `${hexOf(`file ${index}`)}.filez` };
    });
    await addEntries({ records: stores.records, newId: v7 }, build, { kind: 'stored', entries });
    const { items } = await stores.records.list({ partition: `contents/${build}`, limit: 1000 });
    expect(items.length).toBe(10);
    const { stored } = await readContents(another(), build);
    expect(stored.size).toBe(10_000);
    expect(
      entries.filter(({ name, digest, sizeBytes }) => {
        const found = stored.get(name);
        return found?.digest !== digest || found.sizeBytes !== sizeBytes;
      }),
    ).toEqual([]);
  });

  it('are the same to a process that reads them piece by piece and to one that reads them whole', async () => {
    const build = nextBuild();
    const patient = another();
    for (let round = 0; round < 60; round += 1) {
      await add(build, round % 3 === 0 ? 'declared' : 'stored', [entry(`${round}`), entry(`${round} too`)]);
      if (round % 7 === 0) await asked(patient, build, round);
    }
    const seen = shown(await asked(patient, build, 60));
    expect(seen).toEqual(shown(await readContents(another(), build)));
    expect(seen.stored.length).toBe(80);
  });

  it('are not confused by segments that come in another order than that of their keys', async () => {
    const build = nextBuild();
    const [early, middle, late] = [v7(), v7(), v7()];
    const patient = another();
    const addAs = async (id: string, to: number, text: string) =>
      await addEntries({ records: stores.records, newId: () => id }, to, { kind: 'stored', entries: [entry(text)] });
    await addAs(middle, build, 'middle');
    await asked(patient, build, 1);
    await addAs(late, build, 'late');
    await addAs(early, build, 'early');
    const { stored } = await asked(patient, build, 3);
    expect([...stored.keys()].sort()).toEqual(['early', 'late', 'middle'].map((text) => entry(text).name).sort());
  });

  it('keep the first of two that were sent under one name, whoever looks', async () => {
    const build = nextBuild();
    const name = `${hexOf('a file')}.filez`;
    const first = { ...entry('packed so'), name };
    const second = { ...entry('packed otherwise'), name };
    await add(build, 'stored', [first]);
    await add(build, 'stored', [second]);
    expect((await readContents(another(), build)).stored.get(name)?.digest).toBe(first.digest);
    expect((await asked(another(), build)).stored.get(name)?.digest).toBe(first.digest);
  });

  it('lose what was dropped, and have it again when it is sent again', async () => {
    const build = nextBuild();
    const patient = another();
    await add(build, 'stored', [entry('one'), entry('two')]);
    await asked(patient, build, 2);
    await add(build, 'dropped', [entry('one')]);
    expect([...(await asked(patient, build, 2)).stored.keys()]).toEqual([entry('two').name]);
    await add(build, 'stored', [entry('one')]);
    expect((await asked(patient, build, 2)).stored.size).toBe(2);
    expect((await readContents(another(), build)).stored.size).toBe(2);
  });

  it('never show again what was dropped to who asked twice at once', async () => {
    const build = nextBuild();
    const patient = another();
    // One look has read its page and is held up while something is dropped and another look begins.
    const held = Promise.withResolvers<void>();
    let looks = 0;
    const looked = Promise.withResolvers<void>();
    const slow: Records['list'] = async (query) => {
      const page = await stores.records.list<never>(query);
      looks += 1;
      looked.resolve();
      if (looks === 1) await held.promise;
      return page;
    };
    patient.list = slow;
    await add(build, 'stored', [entry('one')]);
    const first = asked(patient, build, 1);
    await looked.promise;
    await add(build, 'dropped', [entry('one')]);
    const second = asked(patient, build, 2);
    held.resolve();
    await first;
    expect((await second).stored.size).toBe(0);
    expect((await asked(patient, build, 2)).stored.size).toBe(0);
  });

  it('lose what was taken back, also for another process that has read it already', async () => {
    const build = nextBuild();
    const [patient, other] = [another(), another()];
    await add(build, 'stored', [entry('kept')]);
    const keys = await add(build, 'stored', [entry('kept'), entry('taken back')]);
    await add(build, 'stored', [entry('later')]);
    for (const records of [patient, other]) expect((await asked(records, build, 3)).stored.size).toBe(3);
    await withdrawEntries({ records: stores.records, newId: v7 }, build, keys);
    for (const records of [patient, another()]) {
      const { stored } = await asked(records, build, 3);
      expect([...stored.keys()].sort()).toEqual([entry('kept').name, entry('later').name].sort());
    }
    // Whoever took it back may have been killed before it was gone.
    await stores.records.create(keys[0]!, { kind: 'stored', entries: [[entry('taken back').name, 10]] });
    for (const records of [other, another()]) {
      expect([...(await asked(records, build, 2)).stored.keys()]).not.toContain(entry('taken back').name);
    }
    await add(build, 'stored', [entry('taken back')]);
    for (const records of [patient, other, another()]) expect((await asked(records, build, 4)).stored.size).toBe(3);
  });

  it('are read anew after a commit, which may have told as missing what was read before', async () => {
    const build = nextBuild();
    const patient = another();
    const [key] = await add(build, 'stored', [entry('lost')]);
    await add(build, 'stored', [entry('kept')]);
    const uploaded = { objects: 2, bytes: 0 };
    expect((await recallContents(patient, { id: build, uploaded })).stored.size).toBe(2);
    await stores.records.remove((await stores.records.find(key!))!);
    expect((await recallContents(patient, { id: build, uploaded, commitJobId: 7 })).stored.size).toBe(1);
  });

  it('are gone when they are forgotten, for this process and for another', async () => {
    const build = nextBuild();
    await add(build, 'stored', [entry('one')]);
    await asked(stores.records, build, 1);
    await forgetContents(stores.records, build);
    await forgetContents(stores.records, build);
    expect((await asked(stores.records, build)).stored.size).toBe(0);
    expect((await readContents(another(), build)).stored.size).toBe(0);
  });

  it('come out the same by whatever way they are read', async () => {
    const action = fc.record({
      kind: fc.constantFrom('stored' as const, 'declared' as const, 'dropped' as const, 'taken back' as const),
      texts: fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 3 }),
      looks: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
        const build = nextBuild();
        const patient = another();
        for (const [index, { kind, texts, looks }] of actions.entries()) {
          const entries = [...new Set(texts)].map((text) => entry(text));
          const keys = await add(build, kind === 'taken back' ? 'stored' : kind, entries);
          if (looks) await asked(patient, build, index);
          if (kind === 'taken back') await withdrawEntries({ records: stores.records, newId: v7 }, build, keys);
          if (looks) await asked(patient, build, index);
        }
        expect(shown(await asked(patient, build, -1))).toEqual(shown(await readContents(another(), build)));
      }),
      { numRuns: 30 },
    );
  });
});
