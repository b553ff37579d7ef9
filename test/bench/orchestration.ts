import { spawn } from 'node:child_process';
import { makeRepository } from '../support/git-repo.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { compare, residentMiB, timed, type Comparison } from './measure.ts';

const many = 1000;
const deploymentsPerMeasure = 10;

/**
 * What one deployment costs besides its build and its tasks, with 1,000 apps registered against with one: an artifact
 * that is there is brought to a target without tasks, from the request to the end.
 */
export async function benchOrchestration(pairs: number): Promise<Comparison> {
  const repository = await makeRepository();
  const [crowded, lonely] = await Promise.all([startTestServer({ env: quiet }), startTestServer({ env: quiet })]);
  try {
    await repository.commit({ 'app.txt': 'one' });
    const digests = [await register(crowded, repository.url), await register(lonely, repository.url)] as const;
    for (let app = 1; app < many; app += 1)
      await crowded.apply(`other-${app}`, appOf(`https://github.com/acme/other-${app}`));
    return await compare(
      pairs,
      async () => await deployAgain(crowded, digests[0]),
      async () => await deployAgain(lonely, digests[1]),
    );
  } finally {
    await Promise.all([crowded.remove(), lonely.remove(), repository.remove()]);
  }
}

/** The resident memory of a server that has nothing to do, in MiB, against that of a Node process that does nothing. */
export async function benchMemory(): Promise<Comparison> {
  const server = await startTestServer({ env: quiet });
  try {
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const ours = await residentMiB(server.child.pid ?? 0);
    const empty = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)']);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const theirs = await residentMiB(empty.pid ?? 0);
    empty.kill('SIGKILL');
    return { ours, theirs, ratio: ours / theirs };
  } finally {
    await server.remove();
  }
}

const quiet = { LOG_LEVEL: 'error' };

function appOf(repoUrl: string) {
  return {
    source: { repoUrl },
    build: { kind: 'bundle' as const },
    runtime: { command: ['true'] },
    environments: [{ name: 'dev', targets: [{ name: 'web', desiredCount: 0 }] }],
  };
}

async function register(server: TestServer, repoUrl: string): Promise<string> {
  await server.apply('web', appOf(repoUrl));
  const { id } = await server.deploy({ app: 'web', environment: 'dev', source: {} });
  const { artifact, status, reason } = await server.ended(id);
  if (!artifact) throw new Error(`No artifact: ${status} ${reason}`);
  return artifact.digest;
}

async function deployAgain(server: TestServer, artifact: string): Promise<number> {
  const seconds = await timed(async () => {
    for (let n = 0; n < deploymentsPerMeasure; n += 1) {
      const { id } = await server.deploy({ app: 'web', environment: 'dev', artifact });
      const { status, reason } = await ended(server, id);
      if (status !== 'succeeded') throw new Error(`Expected it to succeed: ${status} ${reason}`);
    }
  });
  return seconds / deploymentsPerMeasure;
}

/** Asked again and again, as a long poll looks only every so often. */
async function ended(server: TestServer, id: string) {
  for (;;) {
    const deployment = await server.deployment(id);
    if (deployment.endedAt !== null) return deployment;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
