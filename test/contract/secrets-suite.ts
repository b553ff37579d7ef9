import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Secrets } from '../../functions/ports/secrets.ts';

export type SecretsUnderTest = {
  readonly port: Secrets;
  /** The reason why versions before the last two are not read; left out where they are. */
  readonly skipOldVersions?: string;
  readonly close: () => Promise<void>;
};

/** What every implementation of the Secrets port does. Each test has names of its own. */
export function secretsSuite(name: string, make: () => Promise<SecretsUnderTest>): void {
  describe(`secrets: ${name}`, () => {
    let made: SecretsUnderTest;
    let secrets: Secrets;
    let count = 0;
    const run = crypto.randomUUID();
    const folder = () => `test-${run}/${(count += 1)}`;

    beforeAll(async () => {
      made = await make();
      secrets = made.port;
    });
    afterAll(async () => {
      await made?.close();
    });

    it('is ready', async () => {
      await expect(secrets.ready()).resolves.toBeUndefined();
    });

    it('reads what was written', async () => {
      const secret = `${folder()}/key`;
      const { version } = await secrets.write(secret, 'hunter2');
      expect(await secrets.read(secret)).toEqual({ value: 'hunter2', version });
      expect(await secrets.findVersion(secret)).toBe(version);
    });

    it.each([
      ['lines', '-----BEGIN KEY-----\r\nabc\n-----END KEY-----\n'],
      ['unicode', 'naïve 漢字 🚀\u0000'],
      ['blanks at its ends', '  x \n'],
      ['64 KiB', 'x'.repeat(65_536)],
    ])('keeps a value byte by byte: %s', async (_, value) => {
      const secret = `${folder()}/key`;
      await secrets.write(secret, value);
      expect((await secrets.read(secret)).value).toBe(value);
    });

    it('keeps every version, and the last one is current', async () => {
      const secret = `${folder()}/key`;
      const first = await secrets.write(secret, 'one');
      const second = await secrets.write(secret, 'two');
      expect(second.version).not.toBe(first.version);
      expect(await secrets.read(secret)).toEqual({ value: 'two', ...second });
      expect(await secrets.read(secret, first.version)).toEqual({ value: 'one', ...first });
      expect(await secrets.findVersion(secret)).toBe(second.version);
    });

    it('makes a version of a value that was written before', async () => {
      const secret = `${folder()}/key`;
      const first = await secrets.write(secret, 'same');
      const second = await secrets.write(secret, 'same');
      expect(second.version).not.toBe(first.version);
    });

    it('says what it did not find: the secret, or its version', async () => {
      const secret = `${folder()}/key`;
      await expect(secrets.read(secret)).rejects.toMatchObject({
        kind: 'not-found',
        message: expect.stringContaining(secret) as string,
      });
      expect(await secrets.findVersion(secret)).toBeUndefined();
      await secrets.write(secret, 'hunter2');
      for (const version of [crypto.randomUUID(), '../.current', '..', '', 'x'.repeat(300)]) {
        const read = secrets.read(secret, version);
        await expect(read).rejects.toMatchObject({ kind: 'not-found' });
        await expect(read).rejects.not.toThrow('hunter2');
      }
    });

    it('tells apart a secret and those beneath its name', async () => {
      const outer = folder();
      await secrets.write(outer, 'outer');
      await secrets.write(`${outer}/inner`, 'inner');
      expect((await secrets.read(outer)).value).toBe('outer');
      await secrets.remove(outer);
      expect(await secrets.findVersion(outer)).toBeUndefined();
      expect((await secrets.read(`${outer}/inner`)).value).toBe('inner');
    });

    it('lists the names under a prefix, of every depth, and no others', async () => {
      const own = folder();
      for (const secret of ['b', 'a', 'a/deep/one', 'ab']) await secrets.write(`${own}/${secret}`, 'x');
      expect(await secrets.list(`${own}/`)).toEqual(['a', 'a/deep/one', 'ab', 'b'].map((secret) => `${own}/${secret}`));
      expect(await secrets.list(`${own}/a/`)).toEqual([`${own}/a/deep/one`]);
      expect(await secrets.list(`${own}/nothing/`)).toEqual([]);
    });

    it('removes a secret with all its versions, once or twice', async () => {
      const own = folder();
      const { version } = await secrets.write(`${own}/key`, 'one');
      await secrets.write(`${own}/key`, 'two');
      await secrets.remove(`${own}/key`);
      await secrets.remove(`${own}/key`);
      await expect(secrets.read(`${own}/key`)).rejects.toMatchObject({ kind: 'not-found' });
      await expect(secrets.read(`${own}/key`, version)).rejects.toMatchObject({ kind: 'not-found' });
      expect(await secrets.list(`${own}/`)).toEqual([]);
    });

    it('can be written again after it was removed', async () => {
      const secret = `${folder()}/key`;
      await secrets.write(secret, 'one');
      await secrets.remove(secret);
      await secrets.write(secret, 'two');
      expect((await secrets.read(secret)).value).toBe('two');
    });

    it('keeps each of 20 concurrent writes, and one of them is current', async ({ skip }) => {
      if (made.skipOldVersions) skip(made.skipOldVersions);
      const secret = `${folder()}/key`;
      const values = Array.from({ length: 20 }, (_, index) => `value ${index}`);
      const written = await Promise.all(values.map(async (value) => await secrets.write(secret, value)));
      const read = await Promise.all(written.map(async ({ version }) => (await secrets.read(secret, version)).value));
      expect(read).toEqual(values);
      expect(written.map(({ version }) => version)).toContain(await secrets.findVersion(secret));
    });

    it('survives writes and removals at the same time', async () => {
      const secret = `${folder()}/key`;
      const tasks = Array.from({ length: 20 }, async (_, index) =>
        index % 2 ? await secrets.remove(secret) : await secrets.write(secret, `value ${index}`),
      );
      await Promise.all(tasks);
      await secrets.write(secret, 'last');
      expect((await secrets.read(secret)).value).toBe('last');
    });

    it.each([
      '',
      '/',
      'a/',
      '/a',
      'a//b',
      '..',
      'a/../b',
      'A',
      'a.b',
      'a b',
      'ä',
      'a\n',
      'a\u0000',
      '.current',
      'a'.repeat(600),
    ])('refuses the name %j', async (bad) => {
      const invalid = { kind: 'invalid' };
      await expect(secrets.write(bad, 'hunter2')).rejects.toMatchObject(invalid);
      await expect(secrets.write(bad, 'hunter2')).rejects.not.toThrow('hunter2');
      await expect(secrets.read(bad)).rejects.toMatchObject(invalid);
      await expect(secrets.findVersion(bad)).rejects.toMatchObject(invalid);
      await expect(secrets.remove(bad)).rejects.toMatchObject(invalid);
    });

    it.each(['a', '../', '/', 'a//', 'A/'])('refuses the prefix %j', async (prefix) => {
      await expect(secrets.list(prefix)).rejects.toMatchObject({ kind: 'invalid' });
    });

    it('refuses an empty value, and one past 64 KiB, without showing it', async () => {
      const secret = `${folder()}/key`;
      await expect(secrets.write(secret, '')).rejects.toMatchObject({ kind: 'invalid' });
      const large = secrets.write(secret, 'hunter2'.repeat(10_000));
      await expect(large).rejects.toMatchObject({ kind: 'too-large' });
      await expect(large).rejects.not.toThrow('hunter2');
      expect(await secrets.findVersion(secret)).toBeUndefined();
    });
  });
}
