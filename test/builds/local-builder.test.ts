import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findMarks } from '../../local/process-tree.ts';
import { bundleRequest, checkRequests, makeBuilds, makeSource, request, untilLogged } from '../support/builds.ts';
import type { Builds, Repository } from '../support/builds.ts';

let builds: Builds;
let source: Repository;
beforeAll(async () => {
  builds = await makeBuilds({ concurrency: 1 });
  source = await makeSource();
});
afterAll(async () => {
  await builds.remove();
  await source.remove();
});

const bundle = (command: string, spec: { timeoutSeconds?: number } = {}) =>
  bundleRequest({ repoUrl: source.url }, { command }, spec);
const nothingIsLeft = async () => {
  expect(await readdir(join(builds.data, 'work/builds'))).toEqual([]);
  expect(await findMarks(`${builds.options.dataFolderId}/`)).toEqual([]);
};

describe('a build on this machine', () => {
  it('gives the build command a minimal environment, without the spec and what is ours', async () => {
    const { text, end } = await builds.run(bundle('env | cut -d= -f1 | sort | tr "\\n" " "; echo; echo "home $HOME"'));
    expect(end.status).toBe('succeeded');
    const names = text
      .split('\n')
      .find((line) => line.includes('PATH'))
      ?.trim()
      .split(' ');
    const known = /^(?:SSL_CERT_(?:DIR|FILE)|NODE_EXTRA_CA_CERTS|TZ|\w+_(?:proxy|PROXY)|PWD|OLDPWD|_|SHLVL)$/;
    expect(names?.filter((name) => !known.test(name))).toEqual([
      'CI',
      'HOME',
      'LANG',
      'PATH',
      'SLUICE_APP',
      'SLUICE_COMMIT',
      'SLUICE_MARK',
      'TMPDIR',
    ]);
    expect(text).toMatch(/home .*\/work\/builds\/build-[^/]*\/home/);
  });

  it('removes its folder also when it made it read-only', async () => {
    const { end } = await builds.run(
      bundle('mkdir -p "$TMPDIR/cache/deep" && chmod -R a-w "$TMPDIR/cache"; echo x > x'),
    );
    expect(end.status).toBe('succeeded');
    await nothingIsLeft();
  });

  it('ends what it left running in the background, without waiting for it', async () => {
    const { end } = await builds.run(bundle('(setsid sleep 600 &) ; sleep 600 & echo started'));
    expect(end.status).toBe('succeeded');
    await nothingIsLeft();
  });

  it('ends by its time limit whatever it forks, however it hides and whatever it ignores', async () => {
    const hide = `trap "" TERM INT HUP
      (setsid sh -c 'trap "" TERM; while :; do sleep 0.05; done' &)
      (setsid env -i /bin/sh -c 'while :; do /bin/sleep 0.05; done' &)
      while :; do sleep 0.05; done`;
    const { end, text } = await builds.run(bundle(hide, { timeoutSeconds: 1.5 }));
    expect(end).toMatchObject({ status: 'timed_out', reason: 'The build took longer than its limit of 1.5 s' });
    expect(text).toContain('The build took longer than its limit of 1.5 s');
    await nothingIsLeft();
  });

  it('waits for its turn, in order, and can be stopped before it comes', async () => {
    const gate = join(builds.data, 'gate');
    const order = join(builds.data, 'order');
    const first = bundle(`echo waiting; while [ ! -e "${gate}" ]; do sleep 0.02; done; echo first >> "${order}"`);
    const others = ['second', 'third', 'fourth'].map((name) => bundle(`echo ${name} >> "${order}"`));
    await builds.builder.start(first);
    for (const other of others) await builds.builder.start(other);
    await untilLogged(builds.builder, first.spec.buildId, 'waiting');
    const third = others[1]?.spec.buildId ?? '';
    expect(await builds.builder.observe(third)).toEqual({ status: 'running', phase: 'queued' });
    await builds.builder.stop(third);
    expect(await builds.builder.observe(third)).toMatchObject({ status: 'stopped' });
    await writeFile(gate, '');
    for (const other of others) await builds.builder.wait(other.spec.buildId);
    expect(await readFile(order, 'utf8')).toBe('first\nsecond\nfourth\n');
  });

  it('cuts long lines, and gives a line that no newline ended', async () => {
    const { log } = await builds.run(bundle(`head -c 100000 /dev/zero | tr '\\0' x; echo; printf 'no newline'`));
    const long = log.find((line) => line.text.startsWith('xxx'));
    expect(long?.text).toBe(`${'x'.repeat(16_384)} … (cut)`);
    expect(log.filter((line) => line.text.includes('xxx'))).toHaveLength(1);
    // What the agent says next stands on the same line, as on a terminal.
    expect(log.some((line) => line.text.startsWith('no newlineBundle of '))).toBe(true);
  });

  it('keeps what its commands write to both outputs in order', async () => {
    const { text } = await builds.run(bundle('for i in 1 2 3; do echo "out $i"; echo "err $i" >&2; done'));
    expect(text).toContain('out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3');
  });

  it('ends a check at its time limit, whatever it forks and wherever it hides', async () => {
    const check = await checkRequests(builds.data);
    const hides = `(setsid env -i sh -c 'trap "" TERM; while :; do sleep 0.05; done' >/dev/null 2>&1 &)`;
    const { end } = await builds.run(
      check(`${hides}; trap "" TERM; while :; do sleep 0.05; done`, { timeoutSeconds: 1 }),
    );
    expect(end.status).toBe('timed_out');
    await nothingIsLeft();
  });

  it('gives a check no more of its environment than a build command', async () => {
    const check = await checkRequests(builds.data);
    const { text, end } = await builds.run(check('env; ls ../..'));
    expect(end, text).toMatchObject({ status: 'succeeded' });
    expect(text).not.toMatch(/^(?:SLUICE_(?:SPEC|DATA|WORK|AGENT)|CODEBUILD_\w+|DOCKER_\w+)=/m);
    await nothingIsLeft();
  });

  it('needs a container engine for an import, and for a check only where that is an image', async () => {
    const digest = `sha256:${'d'.repeat(64)}` as const;
    const wanted = { artifact: digest, manifest: digest, tag: 'sluice-web:d1' };
    await expect(builds.builder.start(request({ kind: 'import', import: wanted }))).rejects.toMatchObject({
      kind: 'unsupported',
    });
    const check = { name: 'scan', artifact: { kind: 'bundle', digest, manifest: digest }, image: 'a/b:1' } as const;
    await expect(builds.builder.start(request({ kind: 'check', check }))).rejects.toMatchObject({
      kind: 'unsupported',
    });
  });

  it('refuses what needs a container engine where there is none', async () => {
    const wanted = request({ kind: 'registry', registry: { reference: 'alpine:3', tag: 'sluice-web:d1' } });
    await expect(builds.builder.start(wanted)).rejects.toMatchObject({ name: 'Problem', kind: 'unsupported' });
    expect(await builds.builder.observe(wanted.spec.buildId)).toEqual({ status: 'unknown' });
  });

  it('refuses an id that leads to another folder', async () => {
    const wanted = bundle('true');
    await expect(
      builds.builder.start({ ...wanted, spec: { ...wanted.spec, buildId: '../../x' } }),
    ).rejects.toMatchObject({
      kind: 'invalid',
    });
    await expect(builds.builder.logs('../x')).rejects.toMatchObject({ kind: 'invalid' });
    await expect(builds.builder.observe('..')).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('refuses a cursor that is not its own', async () => {
    const wanted = bundle('echo hello');
    await builds.run(wanted);
    for (const after of ['3', 'x', '-1', '999999', '1e3']) {
      await expect(builds.builder.logs(wanted.spec.buildId, { after })).rejects.toMatchObject({ kind: 'invalid' });
    }
  });
});

describe('a log that is followed while it is written', () => {
  it('never shows half a line, and misses none', async () => {
    const wanted = bundle(
      'i=0; while [ $i -lt 2000 ]; do echo "$i ääää ----------------------------"; i=$((i+1)); done',
    );
    await builds.builder.start(wanted);
    const seen: string[] = [];
    for (let after = '', done = false; !done;) {
      const page = await builds.builder.logs(wanted.spec.buildId, { after, limit: 100 });
      seen.push(...page.lines.map((line) => line.text).filter((text) => text.includes('ääää')));
      ({ next: after, done } = page);
      if (page.lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(seen).toHaveLength(2000);
    expect(seen.every((text, index) => text === `${index} ääää ----------------------------`)).toBe(true);
  });
});

describe('a failing disk', () => {
  it.skipIf(process.platform !== 'linux')(
    'ends the build as failed when the log cannot be written (Linux)',
    async () => {
      const wanted = bundle('while :; do echo more; sleep 0.01; done');
      await mkdir(join(builds.data, 'builds', wanted.spec.buildId), { recursive: true });
      await symlink('/dev/full', join(builds.data, 'builds', wanted.spec.buildId, 'log.jsonl'));
      await builds.builder.start(wanted);
      const end = await builds.builder.wait(wanted.spec.buildId);
      expect(end).toMatchObject({
        status: 'failed',
        reason: 'The build broke off: there is no space left on the disk',
      });
      await nothingIsLeft();
    },
  );

  it('tells the end of a build that cannot be written down', async () => {
    const wanted = bundle('echo fine');
    await mkdir(join(builds.data, 'builds', wanted.spec.buildId, 'outcome.json', 'in-the-way'), { recursive: true });
    await expect(builds.builder.start(wanted)).rejects.toThrow('EISDIR');
    const other = bundle('echo fine; while [ ! -e "$TMPDIR/../../../go" ]; do sleep 0.02; done');
    await builds.builder.start(other);
    await untilLogged(builds.builder, other.spec.buildId, 'fine');
    await mkdir(join(builds.data, 'builds', other.spec.buildId, 'outcome.json', 'in-the-way'), { recursive: true });
    await writeFile(join(builds.data, 'work/go'), '');
    expect(await builds.builder.wait(other.spec.buildId)).toMatchObject({ status: 'succeeded' });
  });

  it('refuses to be ready without a place to build', async () => {
    const broken = await makeBuilds();
    await writeFile(join(broken.data, 'work'), 'a file where a folder should be');
    await expect(broken.builder.ready()).rejects.toThrow('ENOTDIR');
    await broken.remove();
  });
});

describe('what stays of a build', () => {
  it('is its log and its outcome', async () => {
    const wanted = bundle('true');
    await builds.run(wanted);
    const kept = await readdir(join(builds.data, 'builds', wanted.spec.buildId));
    expect(kept.sort()).toEqual(['log.jsonl', 'outcome.json']);
    await nothingIsLeft();
  });
});
