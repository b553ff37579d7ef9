import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { interruptedReason } from '../../functions/builds/interrupted.ts';
import { findMarks } from '../../local/process-tree.ts';
import { localBuilder } from '../../local/builder.ts';
import { bundleRequest, makeBuilds, makeSource, untilLogged, wholeLog, type Builds } from '../support/builds.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** A server of its own process that starts a build and is there to be killed. */
async function serverWith(builds: Builds, command: string) {
  const source = await makeSource();
  cleanUps.push(builds.remove, source.remove);
  const wanted = bundleRequest({ repoUrl: source.url }, { command });
  const { clock: _, log: __, engine: ___, ...options } = builds.options;
  const script = join(builds.data, 'server.ts');
  await writeFile(
    script,
    `import { localBuilder } from ${JSON.stringify(join(import.meta.dirname, '../../local/builder.ts'))};
     const quiet = { debug() {}, info() {}, warn() {}, error() {}, with: () => quiet };
     const builder = localBuilder({ ...${JSON.stringify(options)}, engine: async () => undefined, clock: Date.now, log: quiet });
     await builder.start(${JSON.stringify(wanted)});
     setInterval(() => {}, 1000);`,
  );
  const server = spawn(process.execPath, [script], { stdio: 'inherit' });
  return { server, buildId: wanted.spec.buildId };
}

describe('after a kill -9 of the server', () => {
  it('recovery ends what was left running, removes its folder, and says what became of the build', async () => {
    const builds = await makeBuilds();
    const hidden = `trap "" TERM; (setsid sh -c 'trap "" TERM; while :; do sleep 0.05; done' &) ; echo busy; sleep 600`;
    const { server, buildId } = await serverWith(builds, hidden);
    for (let busy = false; !busy; await new Promise((resolve) => setTimeout(resolve, 20))) {
      busy = (await wholeLog(builds.builder, buildId)).some((line) => line.text === 'busy');
    }
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
    const marks = `${builds.options.dataFolderId}/build/`;
    expect(await findMarks(marks)).toEqual([`${marks}${buildId}`]);

    const next = localBuilder(builds.options);
    await next.recover();
    expect(await findMarks(marks)).toEqual([]);
    expect(await readdir(join(builds.data, 'work/builds'))).toEqual([]);
    expect(await next.observe(buildId)).toEqual({
      status: 'interrupted',
      reason: interruptedReason,
      phases: [],
      exported: {},
    });
    const page = await next.logs(buildId);
    expect(page.done).toBe(true);
    expect(page.lines.map((line) => line.text)).toContain('busy');
  });

  it('recovery leaves builds alone that had ended', async () => {
    const builds = await makeBuilds();
    const source = await makeSource();
    cleanUps.push(builds.remove, source.remove);
    const wanted = bundleRequest({ repoUrl: source.url }, { command: 'echo fine' });
    const { end } = await builds.run(wanted);
    const next = localBuilder(builds.options);
    await next.recover();
    expect(await next.observe(wanted.spec.buildId)).toEqual(end);
    await next.start(wanted);
    expect(await next.observe(wanted.spec.buildId)).toEqual(end);
  });

  it('recovery has nothing to do on a fresh data folder', async () => {
    const builds = await makeBuilds();
    cleanUps.push(builds.remove);
    await expect(builds.builder.recover()).resolves.toBeUndefined();
  });
});

describe('closing the builder', () => {
  it('ends builds, running and waiting, as interrupted', async () => {
    const builds = await makeBuilds({ concurrency: 1 });
    const source = await makeSource();
    cleanUps.push(builds.remove, source.remove);
    const [running, waiting] = [1, 2].map(() =>
      bundleRequest({ repoUrl: source.url }, { command: 'echo on; sleep 600' }),
    );
    if (!running || !waiting) throw new Error('two were made');
    await builds.builder.start(running);
    await builds.builder.start(waiting);
    await untilLogged(builds.builder, running.spec.buildId, 'on');
    await builds.builder.close();
    for (const { spec } of [running, waiting]) {
      expect(await builds.builder.observe(spec.buildId)).toMatchObject({
        status: 'interrupted',
        reason: interruptedReason,
      });
    }
    expect(await findMarks(`${builds.options.dataFolderId}/`)).toEqual([]);
  });
});
