import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { packTar } from 'modern-tar';
import type { BuildSpec, SourceSpec } from '../../functions/builds/spec.ts';
import type { BuildObservation, BuildRequest, LogLine } from '../../functions/ports/builder.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import { toolEnvironment } from '../../local/build-environment.ts';
import { localBuilder, type LocalBuilder, type LocalBuilderOptions } from '../../local/builder.ts';
import { committed, tarFile } from './committed.ts';
import { buildAgent } from '../../scripts/build-agent.ts';

const project = join(import.meta.dirname, '../..');

export type Builds = {
  readonly data: string;
  readonly options: LocalBuilderOptions;
  readonly builder: LocalBuilder;
  /** Starts a build and answers with its end and its log. */
  readonly run: (request: BuildRequest) => Promise<{ end: Ended; log: readonly LogLine[]; text: string }>;
  readonly remove: () => Promise<void>;
};
export type Ended = Extract<BuildObservation, { reason: string }>;

/** A local builder on a data folder of its own, with a freshly bundled agent. */
export async function makeBuilds(overrides: Partial<LocalBuilderOptions> = {}): Promise<Builds> {
  const data = await realpath(await mkdtemp(join(tmpdir(), 'sluice-builds-')));
  const agentFile = join(data, 'agent.mjs');
  await buildAgent(agentFile);
  const options: LocalBuilderOptions = {
    data,
    dataFolderId: data.split('-').at(-1) ?? '',
    agentFile,
    buildspecs: join(project, 'buildspecs'),
    engine: async () => undefined,
    environment: environmentOfTests(),
    clock: Date.now,
    log: silentLog,
    ...overrides,
  };
  const builder = localBuilder(options);
  return {
    data,
    options,
    builder,
    run: async (request) => await runBuild(builder, request),
    async remove() {
      await builder.close();
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** As a server would pass it on; the Node that runs the tests runs the agent. */
export function environmentOfTests(): Readonly<Record<string, string>> {
  const { PATH = '', ...others } = toolEnvironment(process.env);
  return { ...others, PATH: `${dirname(process.execPath)}:${PATH}` };
}

export async function runBuild(builder: LocalBuilder, request: BuildRequest) {
  await builder.start(request);
  const end = await builder.wait(request.spec.buildId);
  if (!('reason' in end)) throw new Error(`the build is ${end.status}`);
  const log = await wholeLog(builder, request.spec.buildId);
  return { end, log, text: log.map((line) => line.text).join('\n') };
}

export async function wholeLog(builder: LocalBuilder, buildId: string): Promise<readonly LogLine[]> {
  const lines: LogLine[] = [];
  for (let after = ''; ;) {
    const page = await builder.logs(buildId, { after });
    lines.push(...page.lines);
    if (page.done || page.lines.length === 0) return lines;
    after = page.next;
  }
}

/** Waits until the log shows a text; gives up when the build has ended without it. */
export async function untilLogged(builder: LocalBuilder, buildId: string, text: string): Promise<void> {
  for (;;) {
    const observed = await builder.observe(buildId);
    const lines = await wholeLog(builder, buildId);
    if (lines.some((line) => line.text.includes(text))) return;
    if ('reason' in observed) throw new Error(`the build ended without saying ${text}: ${observed.reason}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

let counter = 0;
export const newBuildId = (): string => `build-${process.pid}-${++counter}`;

export function request(work: BuildSpec['work'], overrides: Partial<BuildSpec> = {}): BuildRequest {
  const spec = { buildId: newBuildId(), app: 'web', deploymentId: 'd1', timeoutSeconds: 60, work, ...overrides };
  return { kind: work.kind, spec };
}

export function bundleRequest(
  source: Partial<SourceSpec> & { repoUrl: string },
  bundle: { command?: string; output?: string } = {},
  overrides: Partial<BuildSpec> = {},
): BuildRequest {
  return request({ kind: 'bundle', source: sourceSpec(source), bundle: { output: '.', ...bundle } }, overrides);
}

/** Stores a committed bundle of one file in a data folder; answers with what makes checks of it. */
export async function checkRequests(data: string) {
  const bundle = committed();
  const digest = bundle.add(gzipSync(await packTar([tarFile('app.txt', 'what is checked\n')])));
  const artifact = { kind: 'bundle', digest, manifest: await bundle.manifest({ kind: 'bundle', digest }) } as const;
  await bundle.store(data);
  return (command: string, overrides: Partial<BuildSpec> = {}): BuildRequest =>
    request({ kind: 'check', check: { name: 'lint', artifact, command } }, overrides);
}

export function sourceSpec(source: Partial<SourceSpec> & { repoUrl: string }): SourceSpec {
  return { ref: 'main', credential: { kind: 'none' }, hostKeys: [], ...source };
}

export type Repository = {
  readonly folder: string;
  readonly url: string;
  readonly git: (...args: string[]) => Promise<string>;
  readonly commit: (files: Readonly<Record<string, string>>, message?: string) => Promise<string>;
  readonly remove: () => Promise<void>;
};

/** A Git repository in a temporary folder, with `main` as its branch and one commit. */
export async function makeSource(
  files: Readonly<Record<string, string>> = { 'app.txt': 'one\n' },
): Promise<Repository> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'sluice-source-')));
  const env = {
    PATH: process.env['PATH'] ?? '',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Ann',
    GIT_AUTHOR_EMAIL: 'ann@example.com',
    GIT_COMMITTER_NAME: 'Ann',
    GIT_COMMITTER_EMAIL: 'ann@example.com',
  };
  const git = async (...args: string[]) => (await promisify(execFile)('git', args, { cwd: folder, env })).stdout.trim();
  const repository: Repository = {
    folder,
    url: `file://${folder}`,
    git,
    async commit(changed, message = 'Change') {
      for (const [name, content] of Object.entries(changed)) {
        await mkdir(dirname(join(folder, name)), { recursive: true });
        await writeFile(join(folder, name), content);
      }
      await git('add', '--all');
      await git('commit', '--quiet', '--allow-empty', '--message', message);
      return await git('rev-parse', 'HEAD');
    },
    remove: async () => await rm(folder, { recursive: true, force: true }),
  };
  await git('init', '--quiet', '--initial-branch=main');
  await repository.commit(files, 'First');
  return repository;
}

/** The names and texts of a bundle that the builder stored. */
export async function bundleFiles(data: string, digest: string): Promise<Record<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-unpacked-'));
  try {
    const archive = join(data, 'objects/sha256', digest.replace('sha256:', ''));
    await promisify(execFile)('tar', ['-xzf', archive, '-C', folder]);
    const { readFile } = await import('node:fs/promises');
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return Object.fromEntries(
      await Promise.all(
        files.sort().map(async (file) => [file.slice(folder.length + 1), await readFile(file, 'utf8')]),
      ),
    ) as Record<string, string>;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
