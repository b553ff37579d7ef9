import { chmod, mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { packTar, unpackTar } from 'modern-tar';
import { describe, expect, it } from 'vitest';
import { sha256 } from './builds-service.ts';
import { noise, writeTar } from './packages.ts';
import { pushing } from './pushing.ts';

const { service, inFolder, push, pushed, write } = pushing();

describe('pushing a folder', () => {
  async function app(name: string, { at = 1000 } = {}): Promise<string> {
    const files = new Map([
      ['server.mjs', Buffer.from('console.log(1)')],
      ['lib/z.js', noise('z', 2_000_000)],
      ['lib/a.js', Buffer.from('a')],
      ['.env.example', Buffer.from('A=1')],
      ['.git/HEAD', Buffer.from('ref: x')],
      ['empty', Buffer.alloc(0)],
    ]);
    const root = await write(files, name);
    await chmod(join(root, 'server.mjs'), 0o755);
    await symlink('lib/a.js', join(root, 'link.js'));
    for (const file of files.keys()) await utimes(join(root, file), at, at);
    return root;
  }

  it('makes a bundle of it: sorted, with modes and links, without owners, times and .git', async () => {
    const { kind, refs, objects } = await pushed(await app('one'));
    expect({ kind, ref: refs[0]?.ref, objects }).toEqual({
      kind: 'bundle',
      ref: 'app/web/any/dev',
      objects: { total: 1, sent: 1, skipped: 0 },
    });
    const archive = service().object(`${refs[0]?.commit}.blob`);
    const entries = await unpackTar(new Uint8Array(gunzipSync(archive)));
    const told = entries.map(({ header }) => [header.name, header.type, header.mode?.toString(8), header.linkname]);
    expect(told).toEqual([
      ['.env.example', 'file', '644', ''],
      ['empty', 'file', '644', ''],
      ['lib/', 'directory', '755', ''],
      ['lib/a.js', 'file', '644', ''],
      ['lib/z.js', 'file', '644', ''],
      ['link.js', 'symlink', '777', 'lib/a.js'],
      ['server.mjs', 'file', '755', ''],
    ]);
    expect(entries.every(({ header }) => header.uid === 0 && header.gid === 0 && header.mtime?.getTime() === 0)).toBe(
      true,
    );
  });

  it('gives equal bytes for equal content, so that nothing is sent a second time', async () => {
    const first = await pushed(await app('one', { at: 1000 }));
    const second = await pushed(await app('two', { at: 5000 }));
    expect(second.refs).toEqual(first.refs);
    expect(second.bytes.sent).toBe(0);
  });

  it('takes a bundle that is packed already, when it is told that it is one', async () => {
    const bytes = gzipSync(await packTar([{ header: { name: 'a', size: 1 }, body: 'a' }]));
    await writeFile(inFolder('app.tgz'), bytes);
    expect((await pushed('app.tgz', '--kind', 'bundle')).refs[0]?.commit).toBe(sha256(bytes));
    expect(await push('app.tgz')).toMatchObject({
      code: 2,
      err: expect.stringContaining('say --kind bundle'),
    });
  });

  it.each([
    [
      'leads out of the folder',
      async (root: string) => await symlink('../../x', join(root, 'out')),
      'leads out of the folder',
    ],
    ['is absolute', async (root: string) => await symlink('/etc/passwd', join(root, 'out')), 'leads out of the folder'],
  ])('refuses a link that %s', async (_what, spoil, expected) => {
    const root = await app('one');
    await spoil(root);
    expect(await push(root)).toMatchObject({ code: 2, err: expect.stringContaining(expected) });
  });

  it('leaves no temporary file behind, nor what a push has that was killed a day ago', async () => {
    const temporary = inFolder('tmp');
    await mkdir(join(temporary, 'sluice-bundle-killed'), { recursive: true });
    await utimes(join(temporary, 'sluice-bundle-killed'), 1000, 1000);
    await mkdir(join(temporary, 'sluice-bundle-running'));
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = temporary;
    try {
      await pushed(await app('one'));
      service().fault = () => ({ status: 403, body: { message: 'no', status: 403 } });
      await push(await app('two'));
    } finally {
      process.env['TMPDIR'] = before;
      if (before === undefined) delete process.env['TMPDIR'];
    }
    expect(await readdir(temporary)).toEqual(['sluice-bundle-running']);
  });

  it.each([
    ['an empty folder', async () => await mkdir(inFolder('x')), 'is empty'],
    ['nothing', async () => {}, 'cannot be read: is it there?'],
    ['a file that is no archive', async () => await writeFile(inFolder('x'), noise('x', 2048)), 'is no tar archive'],
    [
      'a tar of other things',
      async () => void (await writeTar(inFolder('x'), new Map([['a', Buffer.from('a')]]))),
      'holds no image',
    ],
  ])('refuses %s', async (_what, make, expected) => {
    await make();
    expect(await push('x')).toMatchObject({ code: 2, err: expect.stringContaining(expected) });
  });
});
