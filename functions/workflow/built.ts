import * as v from 'valibot';
import { buildReason, endStatus, type BuildEnd } from '../ports/build-end.ts';

/** How `Build` of deploy.asl.json turned out. `interrupted`: it may be made again. */
export type Built =
  | { readonly status: 'succeeded'; readonly result: string | undefined }
  | { readonly status: BuildEnd['status']; readonly reason: string };

/** Left out, or null, where there is nothing. */
const listOf = <T extends v.GenericSchema>(item: T) =>
  v.optional(
    v.pipe(
      v.nullable(v.array(item)),
      v.transform((list): readonly v.InferOutput<T>[] => list ?? []),
    ),
    [],
  );
const text = v.nullish(v.string());
const variables = listOf(v.object({ Name: v.string(), Value: text }));

/**
 * What `codebuild:startBuild.sync` answers, as far as it is used: CodeBuild's Build with its names in PascalCase.
 * https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html
 * https://docs.aws.amazon.com/step-functions/latest/dg/connect-codebuild.html
 */
const buildSchema = v.object({
  BuildStatus: v.picklist(['SUCCEEDED', 'FAILED', 'FAULT', 'TIMED_OUT', 'STOPPED']),
  ExportedEnvironmentVariables: variables,
  Environment: v.nullish(v.object({ EnvironmentVariables: variables })),
  Phases: listOf(v.object({ PhaseType: text, PhaseStatus: text, Contexts: listOf(v.object({ Message: text })) })),
});
type Build = v.InferOutput<typeof buildSchema>;
const answerSchema = v.object({ Build: buildSchema });
/** What a Catch passes on: of a build that failed, `Cause` is its description as JSON text. */
const caughtSchema = v.object({ Error: v.string(), Cause: v.nullish(v.string(), '') });
type Caught = v.InferOutput<typeof caughtSchema>;

/**
 * Reads how a build ended, or why it did not begin, from what `Build` of the definition left; pure. `app` is told in the
 * reason when the app's own build role is not there.
 */
export function describeBuilt(outcome: unknown, app: string): Built {
  const answer = v.safeParse(answerSchema, outcome);
  if (answer.success) return describeBuild(answer.output.Build, app);
  const caught = v.safeParse(caughtSchema, outcome);
  if (!caught.success) return { status: 'interrupted', reason: 'The build did not say how it ended' };
  const cause = parseJson(caught.output.Cause);
  const bare = v.safeParse(buildSchema, cause);
  if (bare.success) return describeBuild(bare.output, app);
  const wrapped = v.safeParse(answerSchema, cause);
  return wrapped.success ? describeBuild(wrapped.output.Build, app) : describeError(caught.output, app);
}

const statuses = { FAILED: 'failed', FAULT: 'interrupted', TIMED_OUT: 'timed_out', STOPPED: 'stopped' } as const;

function describeBuild(build: Build, app: string): Built {
  const exported = new Map(build.ExportedEnvironmentVariables.map(({ Name, Value }) => [Name, Value ?? undefined]));
  if (build.BuildStatus === 'SUCCEEDED') return { status: 'succeeded', result: exported.get('SLUICE_RESULT') };
  const said = exported.get('SLUICE_REASON');
  const told: BuildEnd = {
    status: statuses[build.BuildStatus],
    said,
    failure: failureOf(build.Phases),
    timeoutSeconds: timeoutOf(build),
  };
  const reason = buildReason(told);
  // What the build itself has said is not CodeBuild's word on its role.
  return { status: endStatus(told), reason: said ? reason : withRoleHint(reason, app) };
}

/** The first phase that went wrong: those after it fail because of it. */
function failureOf(phases: Build['Phases']): BuildEnd['failure'] {
  const bad = phases.find(
    ({ PhaseStatus }) => PhaseStatus && PhaseStatus !== 'SUCCEEDED' && PhaseStatus !== 'IN_PROGRESS',
  );
  if (!bad) return undefined;
  const words = bad.Contexts.map(({ Message }) => Message?.trim()).find(Boolean);
  return { phase: (bad.PhaseType ?? '').toLowerCase(), words: words ?? `it ended as ${bad.PhaseStatus ?? ''}` };
}

/** What the build was granted, as its spec says it. */
function timeoutOf({ Environment }: Build): number | undefined {
  const spec = Environment?.EnvironmentVariables.find(({ Name }) => Name === 'SLUICE_SPEC')?.Value;
  const parsed = v.safeParse(v.object({ timeoutSeconds: v.number() }), parseJson(spec ?? ''));
  return parsed.success ? parsed.output.timeoutSeconds : undefined;
}

/**
 * An error without a description that can be read. What CodeBuild or Step Functions refused would be refused again, and
 * people are told why; every other one is the machinery's own, and the build is made again.
 */
function describeError({ Error: name, Cause: cause }: Caught, app: string): Built {
  if (name === 'States.TaskFailed') return describeCut(cause);
  if (name === 'States.Timeout') return { status: 'timed_out', reason: buildReason({ status: 'timed_out' }) };
  const words = cause.trim() || name;
  if (name === 'CodeBuild.AccountLimitExceededException') {
    return { status: 'failed', reason: `CodeBuild ran as many builds as it may for too long: ${words}` };
  }
  const isRefusal = /^(?:CodeBuild|States)\./.test(name) && name !== 'CodeBuild.SdkClientException';
  if (isRefusal) return { status: 'failed', reason: withRoleHint(`The build was refused: ${words}`, app) };
  return { status: 'interrupted', reason: `The build could not be started: ${words}` };
}

/**
 * A description longer than the 32,768 characters that Step Functions keeps of a cause is JSON no more; what counts is
 * looked for in its text. Quotes within a value are escaped there, so that no value can pass for a member.
 * https://docs.aws.amazon.com/step-functions/latest/apireference/API_TaskFailedEventDetails.html
 */
function describeCut(cause: string): Built {
  const told = /"BuildStatus":\s*"(FAILED|FAULT|TIMED_OUT|STOPPED)"/.exec(cause)?.[1] as
    | keyof typeof statuses
    | undefined;
  const said = /"Name":\s*"SLUICE_REASON",\s*"Value":\s*("(?:[^"\\]|\\.)*")/.exec(cause)?.[1];
  const parsed = said === undefined ? undefined : parseJson(said);
  const status = told ? statuses[told] : 'failed';
  return { status, reason: buildReason({ status, said: typeof parsed === 'string' ? parsed : undefined }) };
}

/** Every build runs as its app's own role, which that app's stack makes. */
function withRoleHint(reason: string, app: string): string {
  if (!/iam:PassRole|sts:AssumeRole|service ?role/i.test(reason)) return reason;
  return `${reason}. The role that builds of ${app} run as (…-build-${app}) is made by the app's own stack: deploy that first`;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}
