import { execFile } from 'node:child_process';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { packTar, type TarEntry } from 'modern-tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runStep } from '../../buildspecs/agent/agent.ts';
import { checkCommand } from '../../buildspecs/agent/check-container.ts';
import { objectPath } from '../../buildspecs/agent/object-path.ts';
import type { EngineClient } from '../../buildspecs/agent/outside.ts';
import { parseBuildSpec, type CheckSpec } from '../../functions/builds/spec.ts';
import { committed, digestOf, makeLayer, manifestType, tarFile, type Committed } from '../support/committed.ts';
import { makeOutside, type TestOutside } from '../support/outside.ts';

const ostree = promisify(execFile);
const hasOstree = await ostree('ostree', ['--version']).then(
  () => true,
  () => false,
);
let artifact: Committed;
const made: TestOutside[] = [];
beforeEach(() => {
  artifact = committed();
});
afterEach(async () => {
  for (const outside of made.splice(0)) await outside.remove();
});

type Wanted = Partial<Omit<CheckSpec, 'artifact'>> & Pick<CheckSpec, 'artifact'>;
async function check(wanted: Wanted, options: Parameters<typeof makeOutside>[1] = {}) {
  const outside = await makeOutside({ kind: 'check', check: { name: 'lint', ...wanted } }, options);
  made.push(outside);
  for (const [digest, bytes] of artifact.blobs) outside.blobs.set(digest, bytes);
  const code = await runStep('check', outside, { succeeding: true });
  const reason = await readFile(outside.work.reason, 'utf8').catch(() => '');
  const file = async (name: string) => await readFile(join(outside.work.artifact, name), 'utf8');
  return { code, reason, outside, file };
}
async function bundleOf(entries: readonly TarEntry[], bytes?: Buffer): Promise<CheckSpec['artifact']> {
  const digest = artifact.add(bytes ?? gzipSync(await packTar([...entries])));
  return { kind: 'bundle', digest, manifest: await artifact.manifest({ kind: 'bundle', digest }) };
}

describe('a check of a bundle', () => {
  it('runs its command beside what is in it, and passes by its exit code', async () => {
    const bundle = await bundleOf([tarFile('app.txt', 'hello\n'), tarFile('lib/run.sh', 'echo "run by $SLUICE_APP"')]);
    const command =
      'cat app.txt; sh lib/run.sh; echo "$SLUICE_CHECK $SLUICE_KIND $SLUICE_DIGEST"; pwd; echo "$SLUICE_ARTIFACT"';
    const { code, outside, reason } = await check({ artifact: bundle, command });
    expect(reason).toBe('');
    expect(code).toBe(0);
    expect(outside.lines).toEqual([
      `Running the check lint on bundle ${bundle.digest}`,
      'hello',
      'run by web',
      `lint bundle ${bundle.digest}`,
      outside.work.artifact,
      outside.work.artifact,
      'The check lint has passed',
    ]);
    expect(await runStep('export', outside, { succeeding: true })).toBe(0);
    const result = JSON.parse(await readFile(outside.work.result, 'utf8')) as { phases: { name: string }[] };
    expect(result).toMatchObject({ kind: 'check', passed: true });
    expect(result.phases.map(({ name }) => name)).toEqual(['fetch', 'check']);
  });

  it.each([
    ['echo first; echo "line 7 is too long" >&2; exit 3', 'The check lint ended with 3: line 7 is too long'],
    ['exit 4', 'The check lint ended with 4'],
    ['echo bye; echo; kill -9 $$', 'The check lint ended with SIGKILL: bye'],
    ['printf "\\033[31mred\\a\\033[0m"; exit 1', 'The check lint ended with 1: red'],
    ['no-such-command', expect.stringMatching(/^The check lint ended with 127: .*not found/)],
  ])('fails with its code and last words: %s', async (command, reason) => {
    const found = await check({ artifact: await bundleOf([tarFile('a', 'a')]), command });
    expect(found.code).toBe(1);
    expect(found.reason).toEqual(reason);
    expect(await runStep('export', found.outside, { succeeding: false })).toBe(1);
    await expect(stat(found.outside.work.result)).rejects.toThrow('ENOENT');
  });

  it('has ended when its command has, whatever that has left running', async () => {
    const began = performance.now();
    const { code } = await check({ artifact: await bundleOf([tarFile('a', 'a')]), command: 'sleep 30 & echo done' });
    expect(code).toBe(0);
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it('tells the command nothing of the control plane, and no secret', async () => {
    const { outside } = await check(
      { artifact: await bundleOf([tarFile('a', 'a')]), command: 'env' },
      { environment: { AWS_SESSION_TOKEN: 'marked', DOCKER_HOST: 'tcp://marked', SLUICE_MARK: 'd/build/b' } },
    );
    const names = outside.lines.flatMap((line) => /^(\w+)=/.exec(line)?.[1] ?? []).sort();
    const shells = [
      'OLDPWD',
      'PWD',
      'SHLVL',
      '_',
      'TZ',
      'NODE_EXTRA_CA_CERTS',
      'HTTPS_PROXY',
      'HTTP_PROXY',
      'NO_PROXY',
    ];
    expect(names.filter((name) => !shells.includes(name) && !/_proxy$|^SSL_CERT/.test(name))).toEqual([
      'CI',
      'HOME',
      'LANG',
      'PATH',
      'SLUICE_APP',
      'SLUICE_ARTIFACT',
      'SLUICE_CHECK',
      'SLUICE_DIGEST',
      'SLUICE_KIND',
      'SLUICE_MARK',
      'TMPDIR',
    ]);
    expect(outside.lines.join('\n')).not.toContain('=marked');
  });

  const link = (name: string, linkname: string, type: 'symlink' | 'link' = 'symlink'): TarEntry => ({
    header: { name, type, linkname, size: 0 },
  });
  it.each([
    ['a name that leads out', [tarFile('../outside', 'x')], /its name leads out of the bundle/],
    ['an absolute name', [tarFile('/tmp/outside', 'x')], /its name leads out of the bundle/],
    ['a link that leads out', [link('etc', '../../etc')], /the symbolic link leads out/],
    ['a file behind a link', [link('a', 'b'), tarFile('a/x', 'x')], /it lies behind a symbolic link/],
    ['a hard link that leads out', [link('passwd', '../../../etc/passwd', 'link')], /the link leads out/],
    ['a device', [{ header: { name: 'd', type: 'character-device', size: 0 } }], /neither a file nor a folder/],
  ] satisfies [string, TarEntry[], RegExp][])('refuses %s, and runs nothing', async (_what, entries, reason) => {
    const bundle = await bundleOf([tarFile('good', 'x'), ...entries]);
    const { code, outside, reason: said } = await check({ artifact: bundle, command: 'echo ran' });
    expect(code).toBe(1);
    expect(said).toMatch(reason);
    expect(said).toMatch(/^The bundle: /);
    expect(outside.lines).not.toContain('ran');
    expect(await readdir(outside.work.artifact)).toEqual([]);
  });

  it.each([
    ['is no archive', 'no archive', /^The bundle: what was committed is no tar/],
    ['is a tar that is not compressed', undefined, /^The bundle cannot be unpacked/],
  ])('fails when what was committed %s', async (_what, text, reason) => {
    const bytes = text === undefined ? Buffer.from(await packTar([tarFile('a', 'a')])) : Buffer.from(text);
    expect((await check({ artifact: await bundleOf([], bytes), command: 'true' })).reason).toMatch(reason);
  });

  it('fails when its bytes are others, or are not there, before anything is run', async () => {
    const bundle = await bundleOf([tarFile('a', 'a')]);
    artifact.blobs.set(bundle.digest, Buffer.from('other'));
    const spoilt = await check({ artifact: bundle, command: 'echo ran' });
    expect(spoilt.reason).toBe(`The object ${bundle.digest} has other bytes than its digest says`);
    artifact.blobs.delete(bundle.digest);
    const gone = await check({ artifact: bundle, command: 'echo ran' });
    expect(gone.reason).toBe(`There is no object ${bundle.digest}`);
    expect([...spoilt.outside.lines, ...gone.outside.lines]).not.toContain('ran');
  });

  it('fails when the manifest is another artifact’s', async () => {
    const bundle = await bundleOf([tarFile('a', 'a')]);
    for (const other of [
      { ...bundle, digest: digestOf('x') },
      { ...bundle, kind: 'image' as const },
    ]) {
      expect((await check({ artifact: other, command: 'true' })).reason).toContain('is not that of the');
    }
  });
});

describe('a check of an image', () => {
  it('finds an OCI image layout', async () => {
    const layer = await makeLayer({ 'app.txt': 'hello' });
    const manifest = artifact.image([layer]);
    const digest = digestOf(manifest);
    const image = { kind: 'image', digest, manifest: await artifact.manifest({ kind: 'image', digest }) } as const;
    const { code, file, outside } = await check({ artifact: image, command: 'find . -type f | sort' });
    expect(code).toBe(0);
    expect(JSON.parse(await file('oci-layout'))).toEqual({ imageLayoutVersion: '1.0.0' });
    expect(JSON.parse(await file('index.json'))).toEqual({
      schemaVersion: 2,
      manifests: [{ mediaType: manifestType, digest, size: Buffer.byteLength(manifest) }],
    });
    expect(await file(`blobs/sha256/${digest.slice(7)}`)).toBe(manifest);
    expect(
      (await readFile(join(outside.work.artifact, 'blobs/sha256', digestOf(layer.bytes).slice(7)))).equals(layer.bytes),
    ).toBe(true);
    expect(outside.lines.filter((line) => line.startsWith('./'))).toHaveLength(5);
  });

  it.each(['../../outside', `${'0'.repeat(64)}.blob`])(
    'refuses an object that is no blob by its name: %s',
    async (name) => {
      const manifest = artifact.image([]);
      artifact.add('x', name);
      const digest = digestOf(manifest);
      const image = { kind: 'image', digest, manifest: await artifact.manifest({ kind: 'image', digest }) } as const;
      expect((await check({ artifact: image, command: 'true' })).reason).toBe(
        `The artifact has an object that is none of its kind: "${name}"`,
      );
    },
  );
});

describe('a check of an OSTree repository', () => {
  const ref = 'app/org.example.Hello/x86_64/stable';

  async function repositoryOf(refs: readonly { ref: string; commit: string }[]): Promise<CheckSpec['artifact']> {
    const manifest = await artifact.manifest({ kind: 'ostree', refs });
    return { kind: 'ostree', digest: manifest, manifest };
  }

  it('finds a repository in archive mode, with its refs', async () => {
    const [commit, file1] = ['c'.repeat(64), 'f'.repeat(64)];
    artifact.add('a commit', `${commit}.commit`);
    artifact.add('a file', `${file1}.filez`);
    artifact.add('a delta', `${'d'.repeat(43)}.superblock.delta`);
    const { code, file } = await check({ artifact: await repositoryOf([{ ref, commit }]), command: 'true' });
    expect(code).toBe(0);
    expect(await file('config')).toBe('[core]\nrepo_version=1\nmode=archive-z2\n');
    expect(await file(`refs/heads/${ref}`)).toBe(`${commit}\n`);
    expect(await file(`objects/cc/${'c'.repeat(62)}.commit`)).toBe('a commit');
    expect(await file(`objects/ff/${'f'.repeat(62)}.filez`)).toBe('a file');
    expect(await file(`deltas/dd/${'d'.repeat(41)}/superblock`)).toBe('a delta');
  });

  it.each(['app/../../../etc/cron.d/x/y', '/etc/passwd', '../x', 'app//x', 'app/x/.hidden', ''])(
    'refuses the ref %s',
    async (bad) => {
      const repository = await repositoryOf([{ ref: bad, commit: 'c'.repeat(64) }]);
      expect((await check({ artifact: repository, command: 'true' })).reason).toContain('a ref that is none');
    },
  );

  it('gives an object only a place of its kind', () => {
    expect(objectPath(`${'a'.repeat(64)}.dirtree`)).toBe(`objects/aa/${'a'.repeat(62)}.dirtree`);
    expect(objectPath(`${'A'.repeat(43)}-${'B'.repeat(43)}.12.delta`)).toBe(
      `deltas/AA/${'A'.repeat(41)}-${'B'.repeat(43)}/12`,
    );
    for (const name of ['../x', `${'a'.repeat(64)}.blob`, `${'a'.repeat(63)}/.filez`, `..${'a'.repeat(41)}.0.delta`]) {
      expect(objectPath(name), name).toBeUndefined();
    }
  });

  it.skipIf(!hasOstree)(
    `is one that OSTree itself finds whole${hasOstree ? '' : ' (skipped: there is no ostree here)'}`,
    async () => {
      const folder = await makeOutside({ kind: 'registry', registry: { reference: 'x', tag: 'sluice-web:x' } });
      made.push(folder);
      const [repository, tree] = [join(folder.work.root, 'repo'), join(folder.work.root, 'tree')];
      await ostree('ostree', ['init', `--repo=${repository}`, '--mode=archive-z2']);
      await ostree('sh', ['-c', `mkdir "$0" && echo hello > "$0/hello" && ln -s hello "$0/link"`, tree]);
      await ostree('ostree', ['commit', `--repo=${repository}`, `--branch=${ref}`, '--subject=One', tree]);
      const commit = (await readFile(join(repository, 'refs/heads', ref), 'utf8')).trim();
      for (const name of await readdir(join(repository, 'objects'), { recursive: true })) {
        const [two, rest] = name.split('/');
        if (rest) artifact.add(await readFile(join(repository, 'objects', name)), `${two}${rest}`);
      }
      const command = `ostree fsck --repo=. && ostree ls --repo=. ${ref} /hello && ostree refs --repo=.`;
      const { code, outside } = await check({ artifact: await repositoryOf([{ ref, commit }]), command });
      expect(outside.lines.join('\n')).toContain(ref);
      expect(code).toBe(0);
    },
  );
});

describe('a check by an image', () => {
  const place = { engine: { kind: 'docker', bin: '/bin/docker', buildKit: false }, cwd: '/w', env: {} } as const;
  const given = {
    image: 'sha256:abc',
    name: 'sluice-web-b1',
    folder: '/data, "of" mine/artifact',
    variables: { SLUICE_CHECK: 'lint' },
  };

  it('is run with the artifact, which it cannot change, and leaves nothing behind', () => {
    expect(checkCommand(place, { ...given, mark: 'd/build/b1' })).toEqual({
      file: '/bin/docker',
      cwd: '/w',
      env: {},
      args: [
        'run',
        '--rm',
        '--name=sluice-web-b1',
        '--label=sluice.mark=d/build/b1',
        '--mount=type=bind,"source=/data, ""of"" mine/artifact",target=/artifact,readonly',
        '--env=SLUICE_CHECK=lint',
        '--env=SLUICE_ARTIFACT=/artifact',
        '--',
        'sha256:abc',
      ],
    });
  });

  it('runs a command in it when there is one, beside the artifact', () => {
    const { args } = checkCommand(place, { ...given, command: 'ls; exit 1' });
    expect(args.slice(-6)).toEqual(['--workdir=/artifact', '--entrypoint=sh', '--', 'sha256:abc', '-c', 'ls; exit 1']);
  });

  /** An engine that has the image, and whose container ends so. */
  async function engine(script: string): Promise<EngineClient & { readonly calls: () => Promise<string> }> {
    const folder = await makeOutside({ kind: 'registry', registry: { reference: 'x', tag: 'sluice-web:x' } });
    made.push(folder);
    const bin = join(folder.work.root, 'engine');
    const image = `echo "sha256:${'e'.repeat(64)} 1"`;
    const cases = `pull) exit 1;; image) ${image};; run) ${script};;`;
    await writeFile(bin, `#!/bin/sh\necho "$*" >> "$0.calls"\ncase "$1" in ${cases} esac\n`);
    await chmod(bin, 0o755);
    return { kind: 'docker', bin, buildKit: false, calls: async () => await readFile(`${bin}.calls`, 'utf8') };
  }

  it('passes and fails by its exit code, and its container is removed either way', async () => {
    const bundle = await bundleOf([tarFile('a', 'a')]);
    const good = await engine('echo scanned');
    const passed = await check({ artifact: bundle, image: 'acme/scan:1' }, { engine: good });
    expect(passed.reason).toBe('');
    expect(passed.outside.lines).toContain('scanned');
    expect(await good.calls()).toContain(`rm --force --volumes -- sluice-web-${passed.outside.spec.buildId}`);
    const bad = await engine('echo "CVE-1" >&2; exit 2');
    const failed = await check({ artifact: bundle, image: 'acme/scan:1' }, { engine: bad });
    expect(failed.reason).toBe('The check lint ended with 2: CVE-1');
    expect(await bad.calls()).toContain('rm --force');
  });

  it('says that there is no engine', async () => {
    const { reason } = await check({ artifact: await bundleOf([tarFile('a', 'a')]), image: 'acme/scan:1' });
    expect(reason).toContain('no container engine');
  });
});

describe('the spec of a check', () => {
  const spec = (more: object) => ({
    buildId: 'b1',
    app: 'web',
    deploymentId: 'd1',
    timeoutSeconds: 60,
    work: {
      kind: 'check',
      check: { name: 'lint', artifact: { kind: 'bundle', digest: digestOf(''), manifest: digestOf('') }, ...more },
    },
  });
  const parse = (more: object) => parseBuildSpec(JSON.stringify(spec(more)));

  it('has a command, an image, or both', () => {
    expect(parse({ command: 'true' }).work.kind).toBe('check');
    expect(parse({ image: 'a/b:1' }).work.kind).toBe('check');
    expect(parse({ image: 'a/b:1', command: 'true' }).work.kind).toBe('check');
    expect(() => parse({})).toThrow('not valid');
  });

  it.each([
    ['an image that is an option', { image: '--privileged' }],
    ['a name that is a path', { command: 'true', name: '../x' }],
    ['an unknown field', { command: 'true', privileged: true }],
    [
      'a digest that is a path',
      { command: 'true', artifact: { kind: 'bundle', digest: 'sha256:../..', manifest: digestOf('') } },
    ],
  ])('refuses %s', (_what, more) => {
    expect(() => parse(more)).toThrow('not valid');
  });
});
