import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packTar, type TarEntry } from 'modern-tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeArchive } from '../../buildspecs/agent/archive.ts';
import { bundleInitCommand } from '../../functions/runtime/bundle-init.ts';

// The command is for an image that has Python for certain; this machine may have none, and npm brings none.
const hasPython = existsSync('/usr/bin/python3');

let root: string;
let bundle: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-init-'));
  bundle = join(root, 'bundle');
  await mkdir(join(root, 'bin'));
  await mkdir(bundle);
  // What `aws s3 cp … s3://bucket/key file` does, on a folder that stands for the bucket; options and order as real.
  const aws = `#!/bin/sh
[ "$1 $2 $3 $4" = "s3 cp --no-progress --only-show-errors" ] || { echo "unknown option" >&2; exit 252; }
cp "${root}/s3/\${5#s3://}" "$6" 2>/dev/null || { echo "An error occurred (404) when calling HeadObject" >&2; exit 1; }
`;
  await writeFile(join(root, 'bin/aws'), aws, { mode: 0o755 });
  await mkdir(join(root, 's3/the-bucket/blobs'), { recursive: true });
});
afterEach(async () => await rm(root, { recursive: true, force: true }));

async function keep(bytes: Uint8Array): Promise<string> {
  await writeFile(join(root, 's3/the-bucket/blobs/one'), bytes);
  return createHash('sha256').update(bytes).digest('hex');
}
function run(env: Readonly<Record<string, string>>): { status: number | null; text: string } {
  const command = [...bundleInitCommand.slice(0, -1), bundle];
  const done = spawnSync(command[0] ?? '', command.slice(1), {
    env: { PATH: `${join(root, 'bin')}:${process.env['PATH']}`, SLUICE_BUNDLE_BUCKET: 'the-bucket', ...env },
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status: done.status, text: done.stdout + done.stderr };
}
const runWith = async (bytes: Uint8Array) =>
  run({ SLUICE_BUNDLE_KEY: 'blobs/one', SLUICE_BUNDLE_SHA256: await keep(bytes) });
const file = (name: string, extra: Partial<TarEntry['header']> = {}, body = 'x'): TarEntry => ({
  header: { name, type: 'file', size: extra.type ? 0 : body.length, mode: 0o644, ...extra },
  body: extra.type ? '' : body,
});
async function agentArchive(): Promise<Uint8Array> {
  const folder = join(root, 'app');
  await mkdir(join(folder, 'lib'), { recursive: true });
  await writeFile(join(folder, 'start.sh'), '#!/bin/sh\n', { mode: 0o700 });
  await writeFile(join(folder, 'lib/über.js'), 'text', { mode: 0o600 });
  await symlink('lib/über.js', join(folder, 'main.js'));
  const packed = join(root, 'packed');
  await writeArchive({ folder, file: packed, mtime: new Date(1_700_000_000_000), print: () => {} });
  return await readFile(packed);
}

it('is told the folder of the bundle and nothing of the environment’s modules', () => {
  expect(bundleInitCommand.slice(0, 3)).toEqual(['/usr/bin/python3', '-I', '-c']);
  expect(bundleInitCommand.at(-1)).toBe('/bundle');
});

describe.skipIf(!hasPython)('the init container of a bundle', () => {
  it('unpacks what the agent packed, for any user to read, and leaves no archive', async () => {
    const { status, text } = await runWith(await agentArchive());
    expect(text).toContain('Unpacked 4 files and folders');
    expect(status).toBe(0);
    expect(await readdir(bundle)).toEqual(['lib', 'main.js', 'start.sh']);
    const modeOf = async (name: string) => ((await stat(join(bundle, name))).mode & 0o777).toString(8);
    expect(await modeOf('.')).toBe('755');
    expect(await modeOf('lib')).toBe('755');
    expect(await modeOf('lib/über.js')).toBe('644');
    expect(await modeOf('start.sh')).toBe('755');
    expect(await readlink(join(bundle, 'main.js'))).toBe('lib/über.js');
    expect((await stat(join(bundle, 'lib/über.js'))).mtimeMs).toBe(1_700_000_000_000);
  });

  it('takes a tar that is not compressed, and one that names its root', async () => {
    const { status } = await runWith(await packTar([file('./', { type: 'directory' }), file('./a/b', {}, 'hello')]));
    expect(status).toBe(0);
    expect(await readFile(join(bundle, 'a/b'), 'utf8')).toBe('hello');
  });

  it('fails when the bytes have another digest, and unpacks nothing', async () => {
    await keep(await agentArchive());
    const { status, text } = run({ SLUICE_BUNDLE_KEY: 'blobs/one', SLUICE_BUNDLE_SHA256: '0'.repeat(64) });
    expect(status).toBe(1);
    expect(text).toMatch(/digest sha256:[0-9a-f]{64}, not the one that was named/);
    expect(await readdir(bundle)).toEqual([]);
  });

  it('fails when the bucket has no such bundle, and when a variable is missing', async () => {
    const missing = run({ SLUICE_BUNDLE_KEY: 'blobs/none', SLUICE_BUNDLE_SHA256: '0'.repeat(64) });
    expect(missing.status).toBe(1);
    expect(missing.text).toContain('s3://the-bucket/blobs/none cannot be fetched');
    const unset = run({ SLUICE_BUNDLE_SHA256: '0'.repeat(64) });
    expect(unset.status).toBe(1);
    expect(unset.text).toContain('SLUICE_BUNDLE_KEY is not set');
  });

  it('begins anew on a volume that an earlier attempt left half filled', async () => {
    await mkdir(join(bundle, '.sluice-bundle/unpacked'), { recursive: true });
    await writeFile(join(bundle, '.sluice-bundle/archive'), 'half');
    await mkdir(join(bundle, 'lib'));
    await writeFile(join(bundle, 'lib/stale.js'), 'of before');
    await symlink(root, join(bundle, 'way-out'));
    const bytes = await agentArchive();
    expect((await runWith(bytes)).status).toBe(0);
    expect((await runWith(bytes)).status).toBe(0);
    expect(await readdir(bundle)).toEqual(['lib', 'main.js', 'start.sh']);
    expect(await readdir(join(bundle, 'lib'))).toEqual(['über.js']);
    expect(existsSync(join(root, 's3'))).toBe(true);
  });

  it.each([
    ['a name that climbs out', [file('../outside')]],
    ['a name that climbs out on its way', [file('a/../../outside')]],
    ['an absolute name', [file('/tmp/sluice-init-outside')]],
    ['an absolute link', [file('l', { type: 'symlink', linkname: '/etc/passwd' })]],
    ['a link that climbs out', [file('a/l', { type: 'symlink', linkname: '../../outside' })]],
    ['a link that turns back', [file('l', { type: 'symlink', linkname: 'a/../../outside' })]],
    ['a file behind a link', [file('l', { type: 'symlink', linkname: 'a' }), file('l/outside')]],
    ['a file in a link’s place', [file('l', { type: 'symlink', linkname: 'a' }), file('l')]],
    ['a hard link that climbs out', [file('h', { type: 'link', linkname: '../../s3/the-bucket/blobs/one' })]],
    [
      'a hard link by way of a link',
      [file('l', { type: 'symlink', linkname: 'a' }), file('h', { type: 'link', linkname: 'l' })],
    ],
    ['a device', [file('null', { type: 'character-device' })]],
    ['a pipe', [file('pipe', { type: 'fifo' })]],
  ] satisfies [string, TarEntry[]][])('refuses %s, and unpacks nothing', async (_name, entries) => {
    const { status, text } = await runWith(await packTar([file('fine'), ...entries]));
    expect(text).toMatch(/The bundle is not usable: its '.*' is refused/);
    expect(status).toBe(1);
    expect(await readdir(bundle)).toEqual([]);
    expect(existsSync(join(root, 'outside'))).toBe(false);
  });

  it.each([
    ['no archive', Buffer.from('hello')],
    ['an archive of nothing', Buffer.alloc(1024)],
    ['a broken gzip', Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), Buffer.alloc(50, 7)])],
  ])('says in a sentence that it got %s', async (_name, bytes) => {
    const { status, text } = await runWith(bytes);
    expect(status).toBe(1);
    expect(text).toContain('The bundle is not usable: ');
    expect(text).not.toContain('Traceback');
  });

  it('speaks a Python as old as 3.9, which the image has', () => {
    const check = 'import ast, sys; ast.parse(sys.argv[1], feature_version=(3, 9))';
    const parse = () => execFileSync('/usr/bin/python3', ['-c', check, bundleInitCommand[3] ?? '']);
    expect(parse).not.toThrow();
  });
});
