import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { packTar, type TarHeader } from 'modern-tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundles } from '../../../local/fleet/bundle.ts';
import { memoryObjects } from '../../support/fleet.ts';

describe('bundles', () => {
  let folder: string;
  let root: string;
  const objects = memoryObjects();
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-bundle-'));
    root = join(folder, 'bundles');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const entry = (header: Partial<TarHeader> & { name: string }, body = '') => ({
    header: { size: body.length, ...header },
    body,
  });
  const add = async (...entries: readonly ReturnType<typeof entry>[]) =>
    objects.add(gzipSync(await packTar([...entries])));

  it('are unpacked once, with modes and inner links', async () => {
    const digest = await add(
      entry({ name: 'bin/run', mode: 0o755 }, 'run'),
      entry({ name: 'link', type: 'symlink', linkname: 'bin/run' }),
    );
    const store = bundles(root, objects);
    const [one, two] = await Promise.all([store.folder(digest), store.folder(digest)]);
    expect(one).toBe(two);
    expect(await readFile(join(one, 'link'), 'utf8')).toBe('run');
    expect((await stat(join(one, 'bin/run'))).mode & 0o777).toBe(0o755);
    await writeFile(join(one, 'mark'), 'still the same folder');
    expect(await readdir(await bundles(root, objects).folder(digest))).toContain('mark');
  });

  it.each([
    ['an entry above the folder', [entry({ name: '../out' }, 'x')]],
    ['a link that leads out', [entry({ name: 'link', type: 'symlink', linkname: '../../out' })]],
    ['an absolute link', [entry({ name: 'link', type: 'symlink', linkname: '/etc/passwd' })]],
    ['a hard link out', [entry({ name: 'link', type: 'link', linkname: '/etc/passwd' })]],
    ['a file through a link', [entry({ name: 'a', type: 'symlink', linkname: '..' }), entry({ name: 'a/out' }, 'x')]],
  ])('are refused with %s, and leave nothing', async (_what, entries) => {
    const digest = await add(...entries);
    await expect(bundles(root, objects).folder(digest)).rejects.toMatchObject({ name: 'Problem', kind: 'invalid' });
    expect(await readdir(folder)).toEqual(['bundles']);
    expect(await readdir(root)).toEqual([]);
  });

  it('stay inside when an entry has an absolute name', async () => {
    const digest = await add(entry({ name: '/etc/hosts' }, 'mine'));
    expect(await readFile(join(await bundles(root, objects).folder(digest), 'etc/hosts'), 'utf8')).toBe('mine');
  });

  it('are refused when damaged, and unpacked when mended', async () => {
    const digest = await add(entry({ name: 'a' }, 'whole'));
    const other = objects.add(Buffer.from('no archive'));
    const store = bundles(root, objects);
    await expect(store.folder(other)).rejects.toMatchObject({ kind: 'invalid' });
    const wrong = { read: () => objects.read(digest) };
    const claimed = `sha256:${'0'.repeat(64)}` as const;
    await expect(bundles(root, wrong).folder(claimed)).rejects.toThrow(/do not have its digest/);
    expect(await readdir(root)).toEqual([]);
    await expect(store.folder(`sha256:${'1'.repeat(64)}`)).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('are removed when nobody needs them, with what a kill left', async () => {
    const store = bundles(root, objects);
    const [kept, gone] = [await add(entry({ name: 'a' }, '1')), await add(entry({ name: 'a' }, '2'))];
    await Promise.all([store.folder(kept), store.folder(gone)]);
    await writeFile(join(root, '.half'), '');
    await store.keepOnly(new Set([kept]));
    expect(await readdir(root)).toEqual([kept.replace('sha256:', '')]);
  });
});
