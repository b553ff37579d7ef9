import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readBuildspec } from '../../local/buildspec.ts';
import { outputLines } from '../../buildspecs/agent/output-lines.ts';
import { killTree } from '../../local/process-tree.ts';
import { runBuildspec } from '../../local/run-buildspec.ts';

let folder: string;
let mark: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'sluice-run-')));
  mark = `${folder.split('-').at(-1)}/build/1`;
});
afterEach(async () => {
  await killTree(mark, { graceSeconds: 0, within: folder });
  await rm(folder, { recursive: true, force: true });
});

async function run(yaml: string, options: { env?: Record<string, string>; signal?: AbortSignal } = {}) {
  await writeFile(join(folder, 'spec.yml'), yaml);
  const log: string[] = [];
  const result = await runBuildspec(await readBuildspec(join(folder, 'spec.yml')), {
    mark,
    folder,
    env: { PATH: process.env['PATH'] ?? '', ...options.env },
    signal: options.signal ?? new AbortController().signal,
    onPhase: (phase) => void log.push(`= ${phase}`),
    onLines: async (phase, lines) => void log.push(...lines.map((line) => `${phase}: ${line}`)),
  });
  return { ...result, log };
}

describe('a buildspec', () => {
  it('runs its phases in order, each command with the folder and exports of those before', async () => {
    const { log, failure, phases } = await run(`
version: 0.2
env: { variables: { GREETING: "hello 'you'" } }
phases:
  build:
    commands: ['echo "$GREETING $MADE in $(basename "$PWD")"', 'echo "\${LOST-not exported}"']
  pre_build:
    commands: [mkdir sub, cd sub, 'export MADE="two
      lines \\"and\\" quotes"', LOST=1]
  install: { commands: ['echo first'] }
`);
    expect(failure).toBeUndefined();
    expect(phases.map((phase) => phase.name)).toEqual(['install', 'pre_build', 'build']);
    expect(log).toEqual([
      '= install',
      'install: first',
      '= pre_build',
      '= build',
      `build: hello 'you' two lines "and" quotes in sub`,
      'build: not exported',
    ]);
  });

  it('stops a phase at the first command that fails, runs its finally, and post_build after a failed build', async () => {
    const { log, failure } = await run(`
version: 0.2
phases:
  build:
    commands: [echo one, 'exit 3', echo never]
    finally: ['echo "finally $CODEBUILD_BUILD_SUCCEEDING"']
  post_build:
    commands: ['echo "post $CODEBUILD_BUILD_SUCCEEDING"']
`);
    expect(failure).toEqual({ phase: 'build', words: 'a command ended with exit code 3' });
    expect(log).toEqual(['= build', 'build: one', 'build: finally 0', '= post_build', 'post_build: post 0']);
  });

  it('runs nothing more after a failed pre_build', async () => {
    const { log, failure, phases } = await run(`
version: 0.2
phases:
  pre_build: { commands: ['false'], finally: [echo cleaned] }
  build: { commands: [echo never] }
  post_build: { commands: [echo never] }
`);
    expect(failure?.phase).toBe('pre_build');
    expect(phases).toHaveLength(1);
    expect(log).toEqual(['= pre_build', 'pre_build: cleaned']);
  });

  it('exports the variables it names, with line breaks and quotes, also when it fails', async () => {
    const { exported } = await run(`
version: 0.2
env: { exported-variables: [ONE, TWO, NEVER_SET] }
phases:
  build: { commands: ["export ONE='a b'", "export TWO=\\"x\\ny's \\\\$HOME\\"", 'exit 1'] }
`);
    expect(exported).toEqual({ ONE: 'a b', TWO: "x\ny's $HOME" });
  });

  it('is not helped by variables that look like ours', async () => {
    const { log, failure } = await run(
      `
version: 0.2
phases: { build: { commands: ['echo $1-$SLUICE_RUN-$0', 'echo "$IFS" | wc -c'] } }
`,
      { env: { SLUICE_RUN: '/nowhere' } },
    );
    expect(failure).toBeUndefined();
    expect(log[0]).toBe('= build');
  });

  it('starts no further command once it is ended', async () => {
    const aborter = new AbortController();
    aborter.abort();
    const { log, phases } = await run('{version: 0.2, phases: {build: {commands: [echo never]}}}', {
      signal: aborter.signal,
    });
    expect({ log, phases }).toEqual({ log: [], phases: [] });
  });

  it('does not wait for what stays in the background', async () => {
    const { log } = await run('{version: 0.2, phases: {build: {commands: ["sleep 600 & echo on"]}}}');
    expect(log).toContain('build: on');
  });

  it.each([
    ['another version', '{version: 0.1, phases: {}}'],
    ['an unknown section', '{version: 0.2, phases: {}, artifacts: {}}'],
    ['an unknown phase setting', '{version: 0.2, phases: {build: {commands: [], on-failure: CONTINUE}}}'],
    [
      'a variable’s name that a shell would read otherwise',
      '{version: 0.2, phases: {}, env: {exported-variables: ["A;B"]}}',
    ],
  ])('is refused for %s', async (_, yaml) => {
    await expect(run(yaml)).rejects.toThrow('is not one this runner knows');
  });

  it.each(['image', 'bundle', 'fetch', 'registry'])('is known: buildspecs/%s.yml', async (kind) => {
    const spec = await readBuildspec(join(import.meta.dirname, `../../buildspecs/${kind}.yml`));
    expect(spec.env['exported-variables']).toContain('SLUICE_RESULT');
    expect(spec.phases.post_build?.commands).toHaveLength(1);
  });
});

describe('lines of output', () => {
  async function lines(...chunks: (string | Uint8Array)[]) {
    const groups: string[][] = [];
    for await (const group of outputLines(chunks.map((chunk) => Buffer.from(chunk as string)))) groups.push([...group]);
    return groups;
  }
  it('come as they arrive, whole', async () => {
    expect(await lines('one\ntw', 'o\nthree')).toEqual([['one'], ['two'], ['three']]);
  });
  it('may end as on Windows, or be drawn over each other', async () => {
    expect((await lines('one\r', '\ntwo\r\n10%\r20%\r100%\n')).flat()).toEqual(['one', 'two', '10%', '20%', '100%']);
  });
  it('keep characters whole that arrive in pieces', async () => {
    const bytes = Buffer.from('ä€\n');
    expect((await lines(bytes.subarray(0, 1), bytes.subarray(1, 3), bytes.subarray(3))).flat()).toEqual(['ä€']);
  });
  it('are cut when they are endless, and do not fill the memory', async () => {
    const endless = await lines(...Array.from({ length: 50 }, () => 'x'.repeat(4096)), '\nafter\n');
    expect(endless.flat()).toEqual([`${'x'.repeat(16_384)} … (cut)`, 'after']);
  });
});
