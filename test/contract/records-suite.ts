import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { IndexName, ListQuery, Records, Stored } from '../../functions/ports/records.ts';

export type RecordsUnderTest = { readonly port: Records; readonly close: () => Promise<void> };

/** What every implementation of the Records port does. Each test has partitions of its own, so a table can be shared. */
export function recordsSuite(name: string, make: () => Promise<RecordsUnderTest>): void {
  describe(`records: ${name}`, () => {
    let made: RecordsUnderTest;
    let records: Records;
    let count = 0;
    const run = crypto.randomUUID();
    const partition = () => `test/${run}/${(count += 1)}`;
    const inParallel = async <T>(times: number, task: (index: number) => Promise<T>) =>
      await Promise.all(Array.from({ length: times }, async (_, index) => await task(index)));

    beforeAll(async () => {
      made = await make();
      records = made.port;
    });
    afterAll(async () => {
      await made?.close();
    });

    /** Index entries may arrive late. */
    async function listed(query: ListQuery, expected: readonly string[]): Promise<void> {
      const check = async () => expect(sortsOf((await records.list(query)).items)).toEqual(expected);
      await vi.waitFor(check, { timeout: 10_000 });
    }

    it('is ready', async () => {
      await expect(records.ready()).resolves.toBeUndefined();
    });

    describe('single records', () => {
      it('finds what was created, and nothing where nothing was', async () => {
        const key = { partition: partition(), sort: 'one' };
        expect(await records.find(key)).toBeUndefined();
        const created = await records.create(key, { name: 'web' });
        expect(created).toEqual({ key, version: 1, value: { name: 'web' } });
        expect(await records.find(key)).toEqual(created);
      });

      it('creates only where nothing is', async () => {
        const key = { partition: partition(), sort: 'one' };
        await records.create(key, 'first');
        expect(await records.create(key, 'second')).toBeUndefined();
        expect((await records.find(key))?.value).toBe('first');
      });

      it('replaces only the version that was read', async () => {
        const key = { partition: partition(), sort: 'one' };
        const first = await create(key, 'a');
        const second = await records.replace(first, 'b');
        expect(second).toEqual({ key, version: 2, value: 'b' });
        expect(await records.replace(first, 'c')).toBeUndefined();
        expect(await records.find(key)).toEqual(second);
      });

      it('replaces nothing that is not there', async () => {
        const key = { partition: partition(), sort: 'one' };
        expect(await records.replace({ key, version: 1, value: 'a' }, 'b')).toBeUndefined();
        expect(await records.find(key)).toBeUndefined();
      });

      it('removes only the version that was read', async () => {
        const key = { partition: partition(), sort: 'one' };
        const first = await create(key, 'a');
        await records.replace(first, 'b');
        expect(await records.remove(first)).toBe(false);
        expect(await records.remove({ key, version: 2 })).toBe(true);
        expect(await records.remove({ key, version: 2 })).toBe(false);
        expect(await records.find(key)).toBeUndefined();
      });

      it('does not take a record made anew for the one that was removed', async () => {
        const key = { partition: partition(), sort: 'one' };
        const first = await create(key, 'first life');
        await records.remove(first);
        await records.create(key, 'second life');
        expect(await records.replace(first, 'from the past')).toBeUndefined();
        expect(await records.remove(first)).toBe(false);
        expect((await records.find(key))?.value).toBe('second life');
      });
    });

    describe('values', () => {
      it.each<[string, unknown]>([
        ['unicode in names and texts', { 'größe 🚀': 'naïve 漢字 \u{10FFFF} \u0000 \n' }],
        ['a lone surrogate', '\uD800'],
        ['numbers at the edges', [0, -1, 1.5, 1e-200, 1.7976931348623157e308, Number.MAX_SAFE_INTEGER]],
        ['empty texts, lists and objects', { text: '', list: [], object: {}, nothing: null, no: false }],
        ['40 levels of lists', JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`)],
        ['a text', 'just text'],
        ['null', null],
      ])('come back as they went: %s', async (_, value) => {
        const key = { partition: partition(), sort: 'one' };
        expect((await records.create(key, value))?.value).toEqual(value);
        expect((await records.find(key))?.value).toEqual(value);
      });

      it('lose their undefined members at once, as the caller will find them', async () => {
        const key = { partition: partition(), sort: 'one' };
        const created = await create<Record<string, unknown>>(key, { kept: 1, gone: undefined });
        expect(Object.keys(created.value)).toEqual(['kept']);
        expect((await records.find(key))?.value).toEqual({ kept: 1 });
      });

      it('belong to the store: changing the object afterwards changes nothing', async () => {
        const key = { partition: partition(), sort: 'one' };
        const value = { list: [1] };
        const created = await create(key, value);
        value.list.push(2);
        expect(created.value).toEqual({ list: [1] });
      });

      it('may have 300 KB', async () => {
        const key = { partition: partition(), sort: 'one' };
        await records.create(key, { text: 'x'.repeat(300_000) });
        expect((await records.find<{ text: string }>(key))?.value.text).toHaveLength(300_000);
      });

      it('past 400 KB are refused as too large, and change nothing', async () => {
        const key = { partition: partition(), sort: 'one' };
        await expect(records.create(key, 'x'.repeat(410_000))).rejects.toMatchObject({ kind: 'too-large' });
        const created = await create(key, 'small');
        await expect(records.replace(created, 'ü'.repeat(205_000))).rejects.toMatchObject({ kind: 'too-large' });
        expect(await records.find(key)).toEqual(created);
      });
    });

    describe('keys', () => {
      it('are told apart byte by byte', async () => {
        const own = partition();
        const sorts = ['a', 'A', 'ä', 'a\u0308', 'a ', 'a/b', 'a\u0000', '漢', '🚀', '~', '%61'];
        for (const sort of sorts) await create({ partition: own, sort }, sort);
        for (const sort of sorts) expect((await records.find({ partition: own, sort }))?.value).toBe(sort);
      });

      it.each([
        ['an empty partition', { partition: '', sort: 'a' }],
        ['an empty sort key', { partition: 'a', sort: '' }],
        ['a partition past 2048 bytes', { partition: 'ü'.repeat(1025), sort: 'a' }],
        ['a sort key past 1024 bytes', { partition: 'a', sort: 'ü'.repeat(513) }],
        ['a lone surrogate', { partition: 'a', sort: 'a\uD800' }],
      ])('with %s are refused as invalid', async (_, key) => {
        const invalid = { kind: 'invalid' };
        await expect(records.find(key)).rejects.toMatchObject(invalid);
        await expect(records.create(key, 1)).rejects.toMatchObject(invalid);
        await expect(records.remove({ key, version: 1 })).rejects.toMatchObject(invalid);
        const entry = records.create({ partition: partition(), sort: 'a' }, 1, { indexes: { list: key } });
        await expect(entry).rejects.toMatchObject(invalid);
      });

      it('as long as they may be are fine', async () => {
        const key = { partition: partition().padEnd(2048, 'ü').slice(0, 1000), sort: 'ü'.repeat(512) };
        await create(key, 1, { indexes: { list: { partition: key.partition, sort: key.sort } } });
        expect((await records.find(key))?.value).toBe(1);
      });
    });

    describe('at the same time', () => {
      it('exactly one of 50 creates of one key wins', async () => {
        const key = { partition: partition(), sort: 'one' };
        const created = await inParallel(50, async (index) => await records.create(key, index));
        const winners = created.filter((record) => record !== undefined);
        expect(winners).toHaveLength(1);
        expect(await records.find(key)).toEqual(winners[0]);
      });

      it('50 read-and-replace loops lose nothing', async () => {
        const key = { partition: partition(), sort: 'one' };
        await create<number[]>(key, []);
        await inParallel(50, async (index) => {
          for (;;) {
            const found = await records.find<number[]>(key);
            if (found && (await records.replace(found, [...found.value, index]))) return;
          }
        });
        const end = await records.find<number[]>(key);
        expect(end?.value.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index));
        expect(end?.version).toBe(51);
      });

      it('exactly one of 20 removals of one version wins', async () => {
        const created = await create({ partition: partition(), sort: 'one' }, 1);
        const removed = await inParallel(20, async () => await records.remove(created));
        expect(removed.filter(Boolean)).toHaveLength(1);
      });
    });

    describe('lists', () => {
      it('hold a partition and nothing else, in the order of the UTF-8 bytes, both ways', async () => {
        const own = partition();
        const sorts = ['10', '9', 'B', 'a', 'a/b', 'ab', 'z', '~', 'é', '\uFF5E', '🚀'];
        for (const sort of sorts.toSorted()) await create({ partition: own, sort }, sort);
        await create({ partition: `${own}/under`, sort: 'other' }, 1);
        await create({ partition: own.slice(0, -1), sort: 'other' }, 1);
        expect(sortsOf((await records.list({ partition: own })).items)).toEqual(sorts);
        const descending = await records.list({ partition: own, order: 'descending' });
        expect(sortsOf(descending.items)).toEqual(sorts.toReversed());
      });

      it('are empty for a partition nobody wrote to', async () => {
        expect(await records.list({ partition: partition() })).toEqual({ items: [], next: undefined });
      });

      it('see every write acknowledged before, whole', async () => {
        const own = partition();
        const created = await create({ partition: own, sort: 'one' }, { deep: ['value'] });
        expect((await records.list({ partition: own })).items).toEqual([created]);
        await records.remove(created);
        expect((await records.list({ partition: own })).items).toEqual([]);
      });

      it('hold only what begins with the prefix', async () => {
        const own = partition();
        for (const sort of ['a', 'ab', 'ab/1', 'ab/2', 'ab~', 'ac', 'é1', '%'])
          await create({ partition: own, sort }, 1);
        const under = async (prefix: string) => sortsOf((await records.list({ partition: own, prefix })).items);
        expect(await under('ab')).toEqual(['ab', 'ab/1', 'ab/2', 'ab~']);
        expect(await under('ab/')).toEqual(['ab/1', 'ab/2']);
        expect(await under('é')).toEqual(['é1']);
        expect(await under('')).toHaveLength(8);
        expect(await under('nothing')).toEqual([]);
      });

      it('give back records that can be replaced and removed', async () => {
        const own = partition();
        await create({ partition: own, sort: 'a' }, 1);
        const [found] = (await records.list<number>({ partition: own })).items;
        expect(await records.replace(found as Stored<number>, 2)).toMatchObject({ version: 2, value: 2 });
      });

      it.each([0, -1, 1.5, 1001, NaN])('refuse the limit %s', async (limit) => {
        await expect(records.list({ partition: partition(), limit })).rejects.toMatchObject({ kind: 'invalid' });
      });

      it('hold 100 records when nobody says how many', async () => {
        const own = partition();
        await inParallel(101, async (index) => await create({ partition: own, sort: String(index) }, 1));
        expect((await records.list({ partition: own })).items).toHaveLength(100);
        const all = await records.list({ partition: own, limit: 1000 });
        expect(all.items).toHaveLength(101);
        expect(all.next).toBeUndefined();
      });
    });

    describe.each<[string, IndexName | undefined]>([
      ['a partition', undefined],
      ['an index', 'list'],
    ])('pages of %s', (_, index) => {
      const own = partition();
      const sorts = Array.from({ length: 25 }, (_, number) => `run/${String(number).padStart(3, '0')}`);

      beforeAll(async () => {
        await Promise.all(
          sorts.map(async (sort) => {
            // In an index records of one sort key are allowed; here each place is taken twice.
            const twin = { partition: `${own}/twins`, sort };
            const entry = { list: { partition: own, sort } };
            await create({ partition: own, sort }, sort, index ? { indexes: entry } : {});
            if (index) await create(twin, sort, { indexes: entry });
          }),
        );
        const places = index ? sorts.flatMap((sort) => [sort, sort]) : sorts;
        await listed({ partition: own, ...(index && { index }), limit: 1000 }, places);
      });

      const query = (more: Partial<ListQuery> = {}): ListQuery => ({
        partition: own,
        ...(index && { index }),
        ...more,
      });

      async function allPages(more: Partial<ListQuery>): Promise<readonly (readonly Stored<unknown>[])[]> {
        const pages: (readonly Stored<unknown>[])[] = [];
        let after: string | undefined;
        do {
          const page = await records.list(query({ ...more, ...(after === undefined ? {} : { after }) }));
          pages.push(page.items);
          after = page.next;
        } while (after !== undefined && pages.length < 100);
        return pages;
      }

      it.each(['ascending', 'descending'] as const)(
        'follow one another without gap or repetition, %s',
        async (order) => {
          const whole = (await records.list(query({ order, limit: 1000 }))).items;
          const pages = await allPages({ order, limit: 4 });
          expect(pages.flat()).toEqual(whole);
          expect(pages.slice(0, -1).every((page) => page.length === 4)).toBe(true);
          expect(pages).toHaveLength(Math.ceil(whole.length / 4));
        },
      );

      it('end with the last record, also when it fills the page', async () => {
        const whole = (await records.list(query({ limit: 1000 }))).items;
        expect((await records.list(query({ limit: whole.length }))).next).toBeUndefined();
        expect((await records.list(query({ limit: whole.length - 1 }))).next).toBeTypeOf('string');
      });

      it('stay within the prefix', async () => {
        const whole = (await records.list(query({ prefix: 'run/01', limit: 1000 }))).items;
        expect((await allPages({ prefix: 'run/01', limit: 3 })).flat()).toEqual(whole);
        expect(new Set(sortsOf(whole))).toEqual(new Set(sorts.slice(10, 20)));
      });

      it('go on when the record that the cursor names was removed', async () => {
        const other = partition();
        for (const sort of ['a', 'b', 'c']) {
          await create({ partition: other, sort }, sort, { indexes: { list: { partition: other, sort } } });
        }
        await listed({ partition: other, ...(index && { index }) }, ['a', 'b', 'c']);
        const page = await records.list({ ...query(), partition: other, limit: 2 });
        await records.remove(page.items[1] as Stored<unknown>);
        const after = page.next ?? '';
        expect(sortsOf((await records.list({ ...query(), partition: other, after })).items)).toEqual(['c']);
      });

      it('take no cursor that is not theirs', async () => {
        const { next = '' } = await records.list(query({ limit: 3, prefix: 'run/' }));
        const decoded = Buffer.from(next, 'base64url').toString();
        const cursors = [
          '',
          'x',
          '%%%',
          next.slice(0, -5),
          Buffer.from(decoded.replaceAll(own, `${own}x`)).toString('base64url'),
          Buffer.from(decoded.replaceAll('run/', '')).toString('base64url'),
          ...['null', '{}', '[]', '[1,2,3]', '["","",""]', '["list","","","",""]', `["","${own}","","",""]`].map(
            (text) => Buffer.from(text).toString('base64url'),
          ),
        ];
        for (const after of cursors) {
          const answer = records.list(query({ after, prefix: 'run/' }));
          await expect(answer).rejects.toMatchObject({ kind: 'invalid' });
        }
      });

      it('take no cursor of another partition, another index or another prefix', async () => {
        const { next: after = '' } = await records.list(query({ limit: 3 }));
        const { index: _index, ...bare } = query();
        const others: ListQuery[] = [
          query({ partition: `${own}/twins`, after }),
          query({ prefix: 'other', after }),
          { ...bare, index: 'open', after },
          index ? { ...bare, after } : { ...bare, index: 'list', after },
        ];
        for (const other of others) await expect(records.list(other)).rejects.toMatchObject({ kind: 'invalid' });
      });
    });

    describe('index entries', () => {
      it('are found in their index with the whole record, and only there', async () => {
        const own = partition();
        const entries = { list: { partition: `${own}/l`, sort: '1' }, lookup: { partition: `${own}/k`, sort: '2' } };
        const created = await create({ partition: own, sort: 'one' }, { name: 'web' }, { indexes: entries });
        await listed({ partition: `${own}/l`, index: 'list' }, ['one']);
        await listed({ partition: `${own}/k`, index: 'lookup' }, ['one']);
        expect((await records.list({ partition: `${own}/l`, index: 'list' })).items).toEqual([created]);
        await listed({ partition: `${own}/l`, index: 'open' }, []);
        await listed({ partition: `${own}/l` }, []);
        await listed({ partition: own, index: 'list' }, []);
      });

      it('follow a replace: moved, changed and left', async () => {
        const own = partition();
        const at = (sort: string) => ({ list: { partition: own, sort }, open: { partition: own, sort } });
        const first = await create({ partition: own, sort: 'one' }, 'a', { indexes: at('1') });
        await create({ partition: own, sort: 'two' }, 'b', { indexes: at('2') });
        await listed({ partition: own, index: 'list' }, ['one', 'two']);
        const second = await records.replace(first, 'moved', { indexes: at('3') });
        await listed({ partition: own, index: 'list' }, ['two', 'one']);
        await listed({ partition: own, index: 'open' }, ['two', 'one']);
        const list = { list: { partition: own, sort: '3' } };
        await records.replace(second as Stored<string>, 'closed', { indexes: list });
        await listed({ partition: own, index: 'open' }, ['two']);
        await listed({ partition: own, index: 'list' }, ['two', 'one']);
        const page = await records.list({ partition: own, index: 'list' });
        expect(page.items.map((item) => item.value)).toEqual(['b', 'closed']);
      });

      it('left out of a replace are gone', async () => {
        const own = partition();
        const indexes = { lookup: { partition: own, sort: 'x' } };
        const first = await create({ partition: own, sort: 'one' }, 'a', { indexes });
        await listed({ partition: own, index: 'lookup' }, ['one']);
        await records.replace(first, 'b');
        await expect(listed({ partition: own, index: 'lookup' }, [])).resolves.toBeUndefined();
      });

      it('go with the record', async () => {
        const own = partition();
        const indexes = { open: { partition: own, sort: 'x' } };
        const first = await create({ partition: own, sort: 'one' }, 'a', { indexes });
        await listed({ partition: own, index: 'open' }, ['one']);
        await records.remove(first);
        await expect(listed({ partition: own, index: 'open' }, [])).resolves.toBeUndefined();
      });

      it('of a write that lost are not made', async () => {
        const own = partition();
        const first = await create({ partition: own, sort: 'one' }, 'a');
        await records.replace(first, 'b');
        const indexes = { open: { partition: own, sort: 'x' } };
        await records.replace(first, 'c', { indexes });
        await records.create(first.key, 'c', { indexes });
        await expect(listed({ partition: own, index: 'open' }, [])).resolves.toBeUndefined();
      });
    });

    describe('expiry', () => {
      const ended = () => Math.floor(Date.now() / 1000) - 5;
      const later = () => Math.floor(Date.now() / 1000) + 3600;

      it('leaves a record alone before its time', async () => {
        const key = { partition: partition(), sort: 'one' };
        await create(key, 'a', { expiresAtSeconds: later() });
        expect((await records.find(key))?.value).toBe('a');
        expect((await records.list({ partition: key.partition })).items).toHaveLength(1);
      });

      it('hides a record after its time from every read, and makes room for a new one', async () => {
        const key = { partition: partition(), sort: 'one' };
        const expiresAtSeconds = ended();
        await create(key, 'old', { expiresAtSeconds, indexes: { list: { partition: key.partition, sort: 'a' } } });
        expect(await records.find(key)).toBeUndefined();
        expect((await records.list({ partition: key.partition })).items).toEqual([]);
        expect((await records.list({ partition: key.partition, index: 'list' })).items).toEqual([]);
        expect((await records.create(key, 'new'))?.value).toBe('new');
        expect((await records.find(key))?.value).toBe('new');
      });

      it('does not shorten pages', async () => {
        const own = partition();
        for (let index = 0; index < 20; index += 1) {
          const sort = String(index).padStart(2, '0');
          await create({ partition: own, sort }, 1, index % 2 ? { expiresAtSeconds: ended() } : {});
        }
        const page = await records.list({ partition: own, limit: 6 });
        expect(sortsOf(page.items)).toEqual(['00', '02', '04', '06', '08', '10']);
        const rest = await records.list({ partition: own, limit: 6, after: page.next ?? '' });
        expect(sortsOf(rest.items)).toEqual(['12', '14', '16', '18']);
        expect(rest.next).toBeUndefined();
      });

      it('is taken back by a replace without it', async () => {
        const key = { partition: partition(), sort: 'one' };
        const first = await create(key, 'a', { expiresAtSeconds: later() });
        expect(await records.replace(first, 'b', { expiresAtSeconds: ended() })).toBeDefined();
        expect(await records.find(key)).toBeUndefined();
      });
    });

    it('pages through more than a store gives at once', async () => {
      const own = partition();
      for (let index = 0; index < 12; index += 1) {
        await create({ partition: own, sort: String.fromCharCode(97 + index) }, 'x'.repeat(200_000));
      }
      expect(sortsOf((await records.list({ partition: own, limit: 12 })).items).join('')).toBe('abcdefghijkl');
    });

    async function create<T>(...args: Parameters<typeof records.create<T>>): Promise<Stored<T>> {
      const created = await records.create<T>(...args);
      if (!created) throw new Error('The key was taken');
      return created;
    }
  });
}

function sortsOf(items: readonly Stored<unknown>[]): string[] {
  return items.map((item) => item.key.sort);
}
