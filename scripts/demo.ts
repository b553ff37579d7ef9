import { cp, readFile } from 'node:fs/promises';
import { execa } from 'execa';
import type { DeploymentView } from '../functions/api/shapes.ts';
import { findEngine, type Engine } from '../local/engine.ts';
import { makeRepository } from '../test/support/git-repo.ts';
import { startLoad, type LoadResult } from '../test/support/load.ts';
import { freePort, startTestServer, testToken, type TestServer } from '../test/support/server.ts';

/**
 * `npm run demo`: the whole story on a scratch folder, unattended: push, build, roll; push again under load; a broken
 * push, held by the gate and rolled back. Exits with 0 only if all of it happened and no request was lost.
 * `DEMO_BASE_IMAGE` names the image that the example is built on where there is a container engine; by default the
 * public one of its Dockerfile, and where that cannot be had the story is told with a bundle alone.
 */
const example = new URL('../examples/hello/', import.meta.url);
const requestsPerSecond = 200;
const say = (text: string) => void process.stdout.write(`${text}\n`);

type Kind = 'bundle' | 'image';
type Chapter = { readonly title: string; readonly deployment: DeploymentView; readonly load?: LoadResult };

const engine = await findEngine('auto', process.env);
const base = engine && (await findBase(engine));
const kinds: Kind[] = base ? ['bundle', 'image'] : ['bundle'];
if (!engine) say('No container engine answers: the story is told with a bundle, and its image part is left out.');
else if (!base)
  say(
    'The base image of the example cannot be had: the story is told with a bundle alone (DEMO_BASE_IMAGE names another).',
  );
let failures = 0;
for (const kind of kinds) failures += await tellStory(kind);
say(failures === 0 ? '\nAll of it happened.' : `\n${failures} things did not happen as they should have.`);
process.exitCode = failures === 0 ? 0 : 1;

/** Tells the story once; how many things were not as they should be. */
async function tellStory(kind: Kind): Promise<number> {
  say(`\n── The story with ${kind === 'image' ? 'an image' : 'a bundle'} ${'─'.repeat(40)}`);
  const server = await startTestServer({ env: { SLUICE_ENGINE: kind === 'image' ? 'auto' : 'process' } });
  const [repository, port] = await Promise.all([makeRepository(), freePort()]);
  try {
    say(`Sluice is ready on ${server.url}, its data in ${server.data}`);
    await cp(example, repository.folder, { recursive: true });
    await server.apply('hello', await exampleApp(kind, { server, port }));
    const chapters = await tellChapters({ server, repository, port });
    say(`\n${table(chapters)}`);
    const wrong = check(chapters, await shownVersion(port));
    const exitCode = await server.stop();
    if (engine && kind === 'image') await removeImages(engine, chapters);
    if (exitCode !== 0) wrong.push(`the server stopped with ${exitCode}`);
    for (const text of wrong) say(`✗ ${text}`);
    return wrong.length;
  } catch (error) {
    say(`✗ ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await repository.remove();
    await server.remove();
  }
}

type Stage = {
  readonly server: TestServer;
  readonly repository: Awaited<ReturnType<typeof makeRepository>>;
  readonly port: number;
};

async function tellChapters(stage: Stage): Promise<Chapter[]> {
  say('\n1. A first push is built and goes live.');
  const first = await push(stage, { 'version.txt': '1.0.0\n' });
  say(`   ${first.status}: ${await shownVersion(stage.port)} is live`);

  say(`\n2. A second push replaces it, under ${requestsPerSecond} requests a second and some that take 3 s.`);
  const [second, secondLoad] = await underLoad(stage, async () => await push(stage, { 'version.txt': '2.0.0\n' }));
  say(
    `   ${second.status}: ${await shownVersion(stage.port)} is live; ${secondLoad.sent} requests, ${secondLoad.lost} lost`,
  );

  say('\n3. A push that is broken is held by the gate and rolled back, under the same load.');
  const [third, thirdLoad] = await underLoad(
    stage,
    async () => await push(stage, { 'version.txt': '3.0.0\n', BROKEN: '' }),
  );
  say(`   ${third.status}: ${third.reason}`);
  say(`   ${await shownVersion(stage.port)} is live; ${thirdLoad.sent} requests, ${thirdLoad.lost} lost`);
  return [
    { title: 'first push', deployment: first },
    { title: 'second push, under load', deployment: second, load: secondLoad },
    { title: 'broken push, under load', deployment: third, load: thirdLoad },
  ];
}

/** Commits, pushes, shows what the push says, and follows the deployment to its end. */
async function push({ server, repository }: Stage, files: Record<string, string>): Promise<DeploymentView> {
  await repository.commit(files);
  const output = await repository.git(
    'push',
    `${server.url.replace('http://', `http://git:${testToken}@`)}/git/hello.git`,
    'main',
  );
  const told = output.split('\n').filter((line) => line.startsWith('remote:') && line.trim() !== 'remote:');
  say(told.map((line) => `   ${line.trim()}`).join('\n'));
  const id = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}/.exec(output)?.[0];
  if (!id) throw new Error(`The push told of no deployment:\n${output}`);
  return await server.ended(id);
}

async function underLoad<T>({ port }: Stage, work: () => Promise<T>): Promise<[T, LoadResult]> {
  const load = startLoad({
    url: `http://127.0.0.1:${port}`,
    requestsPerSecond,
    slow: { clients: 4, path: '/slow?seconds=3' },
  });
  const result = await work();
  return [result, await load.stop()];
}

function check([first, second, third]: readonly Chapter[], version: string): string[] {
  const wrong: string[] = [];
  const expect = (holds: boolean, text: string) => void (holds || wrong.push(text));
  expect(first?.deployment.status === 'succeeded', 'the first push did not go live');
  expect(second?.deployment.status === 'succeeded', 'the second push did not go live');
  expect(third?.deployment.status === 'rolled_back', 'the broken push was not rolled back');
  expect(version === '2.0.0', `2.0.0 should be live at the end, and ${version} is`);
  for (const { title, load } of [second, third].filter((chapter) => chapter !== undefined)) {
    expect((load?.sent ?? 0) > 100, `${title}: hardly any requests were sent`);
    expect(load?.lost === 0, `${title}: ${load?.lost} requests were lost: ${load?.errors.join('; ')}`);
  }
  return wrong;
}

/** Requests sent and lost, and the seconds of each phase. */
function table(chapters: readonly Chapter[]): string {
  const head = [
    '',
    'status',
    'queued s',
    'building s',
    'rolling s',
    'verifying s',
    'undoing s',
    'sent',
    'lost',
    'p99 ms',
  ];
  const rows = chapters.map(({ title, deployment, load }) => [
    title,
    deployment.status,
    ...['queued', 'building', 'rolling', 'verifying', 'rolling_back'].map((phase) => secondsIn(deployment, phase)),
    ...(load ? [String(load.sent), String(load.lost), String(load.latency.p99)] : ['–', '–', '–']),
  ]);
  const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at]?.length ?? 0)));
  return [head, ...rows]
    .map((row) =>
      row.map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
    )
    .join('\n');
}

function secondsIn({ timeline, endedAt }: DeploymentView, phase: string): string {
  const phases = ['queued', 'building', 'rolling', 'verifying', 'rolling_back', 'succeeded', 'rolled_back', 'failed'];
  const moves = timeline.filter(({ kind }) => phases.includes(kind));
  const at = moves.findIndex(({ kind }) => kind === phase);
  const from = moves[at];
  if (!from) return '–';
  return ((Date.parse(moves[at + 1]?.at ?? endedAt ?? from.at) - Date.parse(from.at)) / 1000).toFixed(1);
}

async function shownVersion(port: number): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { accept: 'application/json' } });
  return ((await answer.json()) as { version: string }).version;
}

/** The example's own app file, for this server and a free port. */
async function exampleApp(kind: Kind, at: { server: TestServer; port: number }) {
  const app = JSON.parse(await readFile(new URL(`app.${kind}.json`, example), 'utf8')) as Parameters<
    TestServer['apply']
  >[1];
  const [environment] = app.environments;
  const [target] = environment?.targets ?? [];
  if (!app.source || !environment || !target) throw new Error(`app.${kind}.json has no source, environment or target`);
  return {
    ...app,
    source: { ...app.source, repoUrl: `${at.server.url}/git/hello.git` },
    ...(app.build?.kind === 'image' && base ? { build: { ...app.build, buildArgs: { BASE: base } } } : {}),
    environments: [{ ...environment, targets: [{ ...target, listenPort: at.port }] }],
  };
}

/** Nothing of the scratch is left, the images of its deployments neither. */
async function removeImages({ bin }: Engine, chapters: readonly Chapter[]): Promise<void> {
  const tags = chapters.map(({ deployment }) => `sluice-hello:${deployment.id}`);
  await execa(bin, ['image', 'rm', ...tags], { reject: false });
}

/** The image to build the example on: what the environment names, or the public one if it is there or can be pulled. */
async function findBase({ bin }: Engine): Promise<string | undefined> {
  const image = process.env['DEMO_BASE_IMAGE'] ?? 'node:24-alpine';
  const has = async (...args: string[]) => (await execa(bin, args, { reject: false, timeout: 120_000 })).exitCode === 0;
  return (await has('image', 'inspect', image)) || (await has('pull', image)) ? image : undefined;
}
