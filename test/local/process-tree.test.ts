import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parsePs, readProcessTable } from '../../local/process-table.ts';
import { findMarks, killTree, spawnTree } from '../../local/process-tree.ts';

let folder: string;
let mark: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'tree-')));
  mark = `${folder.split('-').at(-1)}/build/1`;
});
afterEach(async () => {
  await killTree(mark, { graceSeconds: 0, within: folder });
  await rm(folder, { recursive: true, force: true });
});

const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
const shell = (script: string, stdio?: 'ignore') =>
  spawnTree({ command: ['sh', '-c', script], cwd: folder, env, mark, ...(stdio && { stdio }) });

/** Starts a script and waits until it has said `ready` so many times. */
async function startReady(script: string, times = 1) {
  const child = shell(script);
  let said = '';
  for await (const chunk of child.stdout ?? []) {
    said += String(chunk);
    if (said.split('ready').length > times) break;
  }
  return child;
}
/** Whether these run; a dead one that nobody has reaped yet does not. */
async function alive(...pids: number[]): Promise<boolean[]> {
  const table = await readProcessTable();
  return pids.map((pid) => table.some((row) => row.pid === pid));
}
const pidIn = async (name: string) => Number(await readFile(join(folder, name), 'utf8'));
const linux = process.platform === 'linux';

describe('a process tree', () => {
  it('runs in a session of its own, with the given environment and its mark alone', async () => {
    const child = spawnTree({ command: ['env'], cwd: folder, env: { A: 'b' }, mark });
    let text = '';
    for await (const chunk of child.stdout ?? []) text += String(chunk);
    expect(text.trim().split('\n').sort()).toEqual(['A=b', `SLUICE_MARK=${mark}`]);
  });

  it('ends at SIGTERM, long before the grace is over', async () => {
    const child = await startReady('trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done');
    const exited = once(child, 'exit');
    const began = performance.now();
    await killTree(mark, { graceSeconds: 15 });
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(await exited).toEqual([7, null]);
  });

  it('is killed when it ignores SIGTERM', async () => {
    const child = await startReady('trap "" TERM; echo ready; while :; do sleep 0.05; done');
    const exited = once(child, 'exit');
    await killTree(mark, { graceSeconds: 0.2 });
    expect(await exited).toEqual([null, 'SIGKILL']);
  });

  it('lets what a process starts at SIGTERM do its work', async () => {
    const child = await startReady(
      'clean() { sh -c "sleep 0.5; true" && exit 7; }; trap clean TERM; echo ready; while :; do sleep 0.05; done',
    );
    const exited = once(child, 'exit');
    await killTree(mark, { graceSeconds: 15 });
    expect(await exited).toEqual([7, null]);
  });

  it('leaves nobody who forked, took a session, lost the parent and ignores SIGTERM', async () => {
    const child = await startReady(`
      trap "" TERM
      (setsid sh -c 'trap "" TERM; echo $$ > one; setsid sh -c "echo \\$\\$ > two; echo ready; exec sleep 600" & exec sleep 600' &)
      exit 0`);
    if (child.exitCode === null) await once(child, 'exit');
    const [one, two] = [await pidIn('one'), await pidIn('two')];
    expect(await alive(one, two)).toEqual([true, true]);
    await killTree(mark, { graceSeconds: 0.1 });
    expect(await alive(one, two)).toEqual([false, false]);
  });

  it('ends processes that keep forking', async () => {
    await writeFile(join(folder, 'respawn.sh'), 'trap "" TERM; sleep 0.01; (setsid sh ./respawn.sh &)');
    await startReady('trap "" TERM; (setsid sh ./respawn.sh &); echo ready; while :; do sleep 0.01 & done');
    await killTree(mark, { graceSeconds: 0.05 });
    expect(await findMarks(mark)).toEqual([]);
  });

  it('ends stopped processes too', async () => {
    const child = await startReady('trap "exit 7" TERM; echo ready; kill -STOP $$; sleep 600');
    const exited = once(child, 'exit');
    await killTree(mark, { graceSeconds: 15 });
    expect(await exited).toEqual([7, null]);
  });

  it.skipIf(!linux)('finds who wiped the environment, by parentage and by the folder (Linux)', async () => {
    await startReady(
      `env -i /bin/sh -c 'echo $$ > child; echo ready; exec sleep 600' &
      (setsid env -i /bin/sh -c 'echo $$ > stray; echo ready; exec sleep 600' &)
      sleep 600`,
      2,
    );
    const [child, stray] = [await pidIn('child'), await pidIn('stray')];
    await killTree(mark, { graceSeconds: 0.1 });
    expect(await alive(child, stray)).toEqual([false, true]);
    await killTree(mark, { graceSeconds: 0.1, within: folder });
    expect(await alive(stray)).toEqual([false]);
  });

  it('leaves other trees alone, also one whose mark begins alike', async () => {
    const other = spawnTree({ command: ['sleep', '600'], cwd: folder, env, mark: `${mark}0` });
    shell('sleep 600');
    await killTree(mark, { graceSeconds: 1 });
    expect(await findMarks(mark)).toEqual([`${mark}0`]);
    await killTree(`${mark}0`, { graceSeconds: 1 });
    expect(other.signalCode).toBe('SIGTERM');
  });

  it('may be gone already', async () => {
    await killTree(mark, { graceSeconds: 10 });
    expect(await findMarks(mark)).toEqual([]);
  });

  it('is found by the beginning of its mark', async () => {
    shell('sleep 600 & sleep 600', 'ignore');
    expect(await findMarks(mark.slice(0, -1))).toEqual([mark]);
    expect(await findMarks(`x${mark}`)).toEqual([]);
  });

  it('tells by an error event that the command is not there', async () => {
    const child = spawnTree({ command: ['no-such-command-here'], cwd: folder, env, mark });
    const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ENOENT');
  });
});

describe('the process table', () => {
  it.skipIf(!linux)('reads the same from ps as from procfs (where ps is the only way: macOS, BSD)', async () => {
    const child = shell('sleep 600 & wait', 'ignore');
    await expect.poll(async () => (await readProcessTable()).filter((row) => row.mark === mark).length).toBe(2);
    const columns = 'pid=,ppid=,pgid=,stat=,command=';
    const table = parsePs(execFileSync('ps', ['axeww', '-o', columns], { encoding: 'utf8', maxBuffer: 1e8 }));
    const family = (rows: readonly { pid: number; parent: number; group: number; mark: string | undefined }[]) =>
      rows
        .filter((row) => row.mark === mark)
        .map(({ pid, parent, group }) => ({ pid, parent, group }))
        .sort((a, b) => a.pid - b.pid);
    expect(family(table)).toEqual(family(await readProcessTable()));
    expect(family(table)[0]).toEqual({ pid: child.pid, parent: process.pid, group: child.pid });
  });
});
