import { createHash } from 'node:crypto';
import {
  BatchGetBuildsCommand,
  StartBuildCommand,
  type Build,
  type CodeBuildClient,
  type StartBuildCommandInput,
} from '@aws-sdk/client-codebuild';
import { parseBuildSpec, type BuildSpec } from '../../functions/builds/spec.ts';
import type { BuildObservation } from '../../functions/ports/builder.ts';
import { imageRepository } from '../../functions/runtime/aws-names.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import { testAwsConfig } from './scripted-aws.ts';
import { scriptedPrefix, type BuildWork } from './scripted-codebuild.ts';
import { TaskError } from './state-machine.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Builds that take their time, and end as the commit's script says. */
export function timedBuilds({ time, seconds }: { readonly time: VirtualTime; readonly seconds: number }) {
  const observed = new Map<string, BuildObservation>();
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const script = {
    ends: (_commit: string): 'succeeded' | 'failed' => 'succeeded',
    /** How the check of that name ends. */
    checks: (_name: string): 'succeeded' | 'failed' => 'succeeded',
  };
  const end = (id: string, observation: BuildObservation) => {
    if (observed.get(id)?.status !== 'running') return;
    observed.set(id, observation);
    ends.get(id)?.resolve();
  };
  const work: BuildWork = {
    start(id, { spec }) {
      observed.set(id, { status: 'running', phase: 'build' });
      ends.set(id, Promise.withResolvers<void>());
      const { work: what } = parseBuildSpec(JSON.stringify(spec));
      time.after(seconds * 1000, () => end(id, endOf(what, spec.app)));
    },
    observe: async (id) => observed.get(id) ?? { status: 'unknown' },
    stop: (id) => end(id, { status: 'stopped', reason: '', phases: [], exported: {} }),
    log: async () => [],
  };
  function endOf(what: BuildSpec['work'], app: string): BuildObservation {
    if (what.kind === 'check') return endOfCheck(script.checks(what.check.name));
    if (what.kind === 'import') return endOfImage('succeeded', imported(what.import.artifact, app));
    const commit = 'source' in what ? (what.source.commit ?? '') : '';
    return endOfImage(script.ends(commit), { digest: digestOf(commit), reference: imageOf(app, commit), commit });
  }
  return { work, script, ended: async (id: string) => await ends.get(id)?.promise };
}

export type TimedBuilds = ReturnType<typeof timedBuilds>;

/**
 * What `codebuild:startBuild.sync` does: starts a build, waits for its end, and answers with its description, or fails
 * with it. `onChange` is told of its beginning and its end.
 * https://docs.aws.amazon.com/step-functions/latest/dg/connect-codebuild.html
 */
export async function runBuild(
  input: object,
  by: {
    readonly client: CodeBuildClient;
    readonly builds: TimedBuilds;
    readonly time: VirtualTime;
    readonly onChange: (build: Build) => void;
  },
): Promise<unknown> {
  const { client, builds, time, onChange } = by;
  const start = new StartBuildCommand(inCamelCase(input) as StartBuildCommandInput);
  const { build } = await time.work(async () => await client.send(start));
  if (!build?.id) throw new Error('CodeBuild started no build');
  onChange(build);
  await builds.ended(build.id.slice(build.id.lastIndexOf(':') + 1));
  const look = new BatchGetBuildsCommand({ ids: [build.id] });
  const { builds: [ended] = [] } = await time.work(async () => await client.send(look));
  if (!ended) throw new Error('CodeBuild does not know the build that it started');
  onChange(ended);
  const told = inPascalCase(JSON.parse(JSON.stringify(ended)) as unknown);
  if (ended.buildStatus === 'SUCCEEDED') return { Build: told };
  throw new TaskError('States.TaskFailed', JSON.stringify(told));
}

function digestOf(commit: string): Digest {
  return `sha256:${createHash('sha256').update(commit).digest('hex')}`;
}

/** What the agent pushes an app's image as. */
export function imageOf(app: string, commit: string): string {
  return imported(digestOf(commit), app).reference;
}

/** What the agent pushes an image as that was uploaded: under its own digest. */
export function imported(digest: Digest, app: string): Made {
  const registry = `123456789012.dkr.ecr.${testAwsConfig.region}.amazonaws.com`;
  return { digest, reference: `${registry}/${imageRepository(scriptedPrefix, app)}@${digest}` };
}

const phases = [{ name: 'build', seconds: 290 }];

type Made = { readonly digest: Digest; readonly reference: string; readonly commit?: string };

function endOfImage(status: 'succeeded' | 'failed', made: Made): BuildObservation {
  return ended(status, { kind: 'image', sizeBytes: 1_000_000, ...made, phases });
}

function endOfCheck(status: 'succeeded' | 'failed'): BuildObservation {
  return ended(status, { kind: 'check', passed: true, phases });
}

function ended(status: 'succeeded' | 'failed', result: object): BuildObservation {
  const failure = { SLUICE_REASON: 'The command exited with code 1' };
  return {
    status,
    reason: '',
    phases,
    exported: status === 'failed' ? failure : { SLUICE_RESULT: JSON.stringify(result) },
  };
}

/** The service integrations name members as the API does, but with a capital: `ProjectName`. */
function inCamelCase(value: unknown): unknown {
  return renamed(value, (name) => `${name[0]?.toLowerCase()}${name.slice(1)}`);
}
function inPascalCase(value: unknown): unknown {
  return renamed(value, (name) => `${name[0]?.toUpperCase()}${name.slice(1)}`);
}
function renamed(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((entry) => renamed(entry, rename));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [rename(name), renamed(entry, rename)]));
}
