import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { writeArchive } from '../../buildspecs/agent/archive.ts';
import { buildBundle } from '../../buildspecs/agent/build-bundle.ts';
import { buildImage } from '../../buildspecs/agent/build-image.ts';
import { addToState } from '../../buildspecs/agent/state.ts';
import { sourceSpec } from '../support/builds.ts';
import { makeOutside, type TestOutside } from '../support/outside.ts';

const made: TestOutside[] = [];
afterEach(async () => {
  for (const outside of made.splice(0)) await outside.remove();
});

const commit = 'c'.repeat(40);
const committedAtSeconds = 1_700_000_000;

/** A checked out source, as the fetch step leaves it. */
async function checkedOut(files: Readonly<Record<string, string>>): Promise<TestOutside> {
  const work = {
    kind: 'bundle',
    source: sourceSpec({ repoUrl: 'https://host.example/a' }),
    bundle: { output: '.' },
  } as const;
  const outside = await makeOutside(work);
  made.push(outside);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(outside.work.source, name, '..'), { recursive: true });
    await writeFile(join(outside.work.source, name), text);
  }
  await addToState(outside.work, { source: { commit, committedAtSeconds } });
  return outside;
}
const listing = (outside: TestOutside) =>
  execFileSync('tar', ['-tvzf', outside.kept[0]?.copy ?? '', '--numeric-owner', '--utc'], { encoding: 'utf8' })
    .trimEnd()
    .split('\n');
const digestOf = async (outside: TestOutside) => {
  await buildBundle(outside, { output: '.' });
  return outside.kept[0]?.digest;
};

describe('a bundle', () => {
  it('is what the command leaves in the output, without .git, named by the digest of its bytes', async () => {
    const outside = await checkedOut({ 'app.txt': 'hello', '.git/HEAD': 'ref', 'lib/.git/HEAD': 'nested' });
    await buildBundle(outside, {
      command: 'test -e .git/HEAD && mkdir empty && echo "$SLUICE_COMMIT" > commit',
      output: '.',
    });
    const [bundle] = outside.kept;
    const names = listing(outside).map((line) => line.split(/\s+/).slice(5).join(' '));
    expect(names).toEqual(['app.txt', 'commit', 'empty/', 'lib/', 'lib/.git/', 'lib/.git/HEAD']);
    const bytes = await readFile(bundle?.copy ?? '');
    expect(bundle?.digest).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    expect(bundle?.sizeBytes).toBe(bytes.byteLength);
    expect((await outside.state()).artifact).toEqual({
      kind: 'bundle',
      digest: bundle?.digest,
      reference: bundle?.digest,
      sizeBytes: bytes.byteLength,
    });
  });

  it('has the same digest for the same content, whatever its times, owners, order and masks', async () => {
    const one = await checkedOut({ a: '1', b: '2', 'folder/c': '3' });
    const two = await checkedOut({ 'folder/c': '3', b: '2', a: '1' });
    await utimes(join(two.work.source, 'a'), 1, 1);
    await chmod(join(two.work.source, 'b'), 0o600);
    expect(await digestOf(one)).toBe(await digestOf(two));
    expect(listing(one)[0]).toMatch(/^-rw-r--r-- 0\/0 +1 2023-11-14 22:13 a$/);
  });

  it('has another digest for another content or mode', async () => {
    const base = await digestOf(await checkedOut({ a: '1' }));
    const program = await checkedOut({ a: '1' });
    await chmod(join(program.work.source, 'a'), 0o755);
    expect(new Set([base, await digestOf(await checkedOut({ a: '2' })), await digestOf(program)]).size).toBe(3);
  });

  it('keeps symbolic links within it, executable files and long names', async () => {
    const long = `${'long-'.repeat(30)}/${'name-'.repeat(40)}ä.txt`;
    const outside = await checkedOut({ 'bin/run': '#!/bin/sh', [long]: 'x', 'node_modules/p/cli.js': 'y' });
    await chmod(join(outside.work.source, 'bin/run'), 0o755);
    await symlink('../bin/run', join(outside.work.source, 'node_modules/run'));
    await symlink('not/there', join(outside.work.source, 'dangling'));
    await buildBundle(outside, { output: '.' });
    const folder = join(outside.work.root, 'unpacked');
    await mkdir(folder);
    execFileSync('tar', ['-xzf', outside.kept[0]?.copy ?? '', '-C', folder]);
    expect(await readFile(join(folder, 'node_modules/run'), 'utf8')).toBe('#!/bin/sh');
    expect(await readFile(join(folder, long), 'utf8')).toBe('x');
    expect(listing(outside).filter((line) => line.startsWith('-rwxr-xr-x'))).toHaveLength(1);
  });

  it.each([
    ['an absolute one', '/etc/passwd'],
    ['one with dots', '../../outside'],
    ['one that leaves on the way and comes back', '../source/app.txt'],
    // `sub/up` is the source itself, so what looks like `sub/x` is a place beside the source.
    ['one by way of another link', 'sub/up/../x'],
  ])('is refused for a symbolic link out of it: %s', async (_, target) => {
    const outside = await checkedOut({ 'app.txt': 'x', 'sub/y': 'y' });
    await symlink('..', join(outside.work.source, 'sub/up'));
    await symlink(target, join(outside.work.source, 'link'));
    await expect(buildBundle(outside, { output: '.' })).rejects.toThrow(
      'build.output: the symbolic link link leads out of the bundle',
    );
    expect(outside.kept).toEqual([]);
  });

  it.each([
    ['a folder that is not there', 'dist', 'it has no dist'],
    ['a file', 'app.txt', 'expected a folder'],
    ['a path with dots', '../other', 'without ".."'],
    ['an absolute path', '/etc', 'a relative path'],
    ['a symbolic link out of the source', 'way-out', 'a symbolic link leads out of it'],
  ])('refuses as output %s', async (_, output, words) => {
    const outside = await checkedOut({ 'app.txt': 'x' });
    await symlink('/etc', join(outside.work.source, 'way-out'));
    await expect(buildBundle(outside, { output })).rejects.toThrow(words);
  });

  it('refuses absurd amounts', async () => {
    const outside = await checkedOut({ a: '12345', b: '67890' });
    const options = { folder: outside.work.source, file: outside.work.archive, mtime: new Date(0), print: () => {} };
    const limited = (limits: { entries: number; bytes: number }) => writeArchive({ ...options, limits });
    await expect(limited({ entries: 1, bytes: 100 })).rejects.toThrow('build.output: more than 1 files and folders');
    await expect(limited({ entries: 9, bytes: 9 })).rejects.toThrow('build.output: more than 9 bytes');
    expect((await limited({ entries: 2, bytes: 10 })).entries).toBe(2);
  });

  it('leaves out what is neither a file nor a folder, and says so', async () => {
    const outside = await checkedOut({ a: '1' });
    execFileSync('mkfifo', [join(outside.work.source, 'pipe')]);
    await buildBundle(outside, { output: '.' });
    expect(listing(outside)).toHaveLength(1);
    expect(outside.lines).toContain('Left out of the bundle: pipe, which is neither a file nor a folder');
  });

  it('is not made when the command fails', async () => {
    const outside = await checkedOut({ a: '1' });
    await expect(buildBundle(outside, { command: 'exit 3', output: '.' })).rejects.toThrow(
      'The build command failed: sh ended with 3',
    );
    expect(outside.kept).toEqual([]);
  });
});

describe('an image', () => {
  it.each([
    { image: { dockerfile: 'Dockerfile.passwd' }, words: 'build.dockerfile: expected a path inside the source' },
    { image: { dockerfile: 'etc/passwd' }, words: 'build.dockerfile: expected a path inside the source' },
    { image: { dockerfile: '../Dockerfile' }, words: 'build.dockerfile: expected a relative path inside the source' },
    {
      image: { dockerfile: 'none' },
      words: 'build.dockerfile: expected something that the source has; it has no none',
    },
    { image: { dockerfile: 'sub' }, words: 'build.dockerfile: expected a file' },
    { image: { context: 'etc' }, words: 'build.context: expected a path inside the source' },
    { image: { context: 'Dockerfile' }, words: 'build.context: expected a folder' },
  ])('is not built from what is not there or not of the source: $image', async ({ image, words }) => {
    const outside = await checkedOut({ Dockerfile: 'FROM scratch', 'sub/x': 'x' });
    await symlink('/etc', join(outside.work.source, 'etc'));
    await symlink('/etc/passwd', join(outside.work.source, 'Dockerfile.passwd'));
    // An engine that would show if it were called.
    const engine = { kind: 'docker', bin: '/nowhere/docker', buildKit: true } as const;
    const whole = { dockerfile: 'Dockerfile', context: '.', buildArgs: {}, tag: 'sluice-web:d1', ...image };
    const source = sourceSpec({ repoUrl: 'https://host.example/a' });
    await expect(buildImage({ ...outside, engine }, { image: whole, source })).rejects.toThrow(words);
  });
});
