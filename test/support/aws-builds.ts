import { chmod, mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BuildRequest } from '../../functions/ports/builder.ts';
import { readBuildspec } from '../../local/buildspec.ts';
import { runBuildspec, type RunResult } from '../../local/run-buildspec.ts';
import { buildAgent } from '../../scripts/build-agent.ts';
import { environmentOfTests } from './builds.ts';

/** What must be nowhere but in the agent: the build role's credential, and the way to it. */
export const roleSecrets = ['marked-secret-key', 'marked-session-token', 'marked-relative-uri'];

export type AwsBuilds = {
  readonly work: string;
  /** Runs the buildspec of CodeBuild, by the agent of CodeBuild; `reason` is what stands in the work folder. */
  readonly run: (request: BuildRequest) => Promise<RunResult & { readonly text: string }>;
  readonly remove: () => Promise<void>;
};

/** A machine such as CodeBuild gives: the agent's bundle, an empty place, and the role's credential in the environment. */
export async function makeAwsBuilds(endpoint: {
  readonly url: string;
  readonly environment?: Readonly<Record<string, string>>;
}): Promise<AwsBuilds> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'sluice-codebuild-')));
  // As /tmp is, where the work folder is in CodeBuild.
  await chmod(root, 0o755);
  const agent = join(root, 'agent.mjs');
  await buildAgent(agent, 'buildspecs/aws-agent.ts');
  const work = join(root, 'work');
  const env = {
    ...environmentOfTests(),
    AWS_ENDPOINT_URL: endpoint.url,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'marked-secret-key',
    AWS_SESSION_TOKEN: 'marked-session-token',
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/credentials/marked-relative-uri',
    SLUICE_AGENT: agent,
    SLUICE_WORK: work,
    SLUICE_PREFIX: 'sluice',
    SLUICE_BUCKET: 'the-bucket',
    SLUICE_REGISTRY: '127.0.0.1:1',
    ...endpoint.environment,
  };
  let builds = 0;
  return {
    work,
    async run({ kind, spec }) {
      const folder = join(root, `src-${++builds}`);
      await mkdir(folder);
      const lines: string[] = [];
      const result = await runBuildspec(
        await readBuildspec(join(import.meta.dirname, `../../buildspecs/${kind}.yml`)),
        {
          mark: `aws-builds/build/${spec.buildId}`,
          folder,
          env: { ...env, SLUICE_SPEC: JSON.stringify(spec) },
          signal: new AbortController().signal,
          onPhase: () => {},
          onLines: async (_phase, more) => void lines.push(...more),
        },
      );
      return { ...result, text: lines.join('\n') };
    },
    remove: async () => await rm(root, { recursive: true, force: true }),
  };
}

/** The ids of all processes of a user that do anything. */
export async function processesOf(uid: number): Promise<readonly string[]> {
  const { readdir } = await import('node:fs/promises');
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const statuses = await Promise.all(
    ids.map(async (id) => await readFile(`/proc/${id}/status`, 'utf8').catch(() => '')),
  );
  return ids.filter((_id, at) => {
    const status = statuses[at] ?? '';
    return status.includes(`\nUid:\t${uid}\t`) && !/\nState:\t[ZX]/.test(status);
  });
}
