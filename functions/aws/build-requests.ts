/** What is asked of CodeBuild and of CloudWatch Logs for builds, as pure values. */
import type { GetLogEventsCommandInput } from '@aws-sdk/client-cloudwatch-logs';
import type {
  BatchGetBuildsCommandInput,
  BatchGetProjectsCommandInput,
  ListBuildsForProjectCommandInput,
  StartBuildCommandInput,
  StopBuildCommandInput,
} from '@aws-sdk/client-codebuild';
import type { BuildKind, BuildRequest } from '../ports/builder.ts';
import { buildKinds, buildProjectName } from '../runtime/aws-names.ts';

/** The environment variable that says what a build is to do; with it a build is known as ours. */
export const specVariable = 'SLUICE_SPEC';

/** Where builds run: one installation's projects. */
export type BuildProjects = {
  readonly prefix: string;
  /** What an app's name is put behind to get the ARN of its build role: `${BuildRolePrefix}` of `deploy.asl.json`. */
  readonly roleArnPrefix: string;
};

/**
 * The start of a build, the same as `Build` in `deploy.asl.json` makes it. `idempotencyToken` is remembered by CodeBuild
 * for 5 minutes; 5 to 2160 minutes may be granted; a build that CodeBuild made again by itself would be nobody's.
 * https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
 */
export function startBuildInput(
  { prefix, roleArnPrefix }: BuildProjects,
  request: BuildRequest,
): StartBuildCommandInput {
  const { spec, kind } = request;
  return {
    projectName: buildProjectName(prefix, kind),
    idempotencyToken: spec.buildId,
    environmentVariablesOverride: [{ name: specVariable, type: 'PLAINTEXT', value: JSON.stringify(spec) }],
    serviceRoleOverride: `${roleArnPrefix}${spec.app}`,
    timeoutInMinutesOverride: Math.min(2160, Math.max(5, Math.ceil(spec.timeoutSeconds / 60))),
    autoRetryLimitOverride: 0,
  };
}

/** At most 100 ids a call. */
export function batchGetBuildsInput(runIds: readonly string[]): BatchGetBuildsCommandInput {
  return { ids: [...runIds] };
}

/**
 * The builds of a kind, newest first, which is the order when none is asked for: to ask for one is an error in a project
 * of more than 100 builds.
 * https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ListBuildsForProject.html
 */
export function listBuildsInput(prefix: string, kind: BuildKind, nextToken?: string): ListBuildsForProjectCommandInput {
  return { projectName: buildProjectName(prefix, kind), ...(nextToken === undefined ? {} : { nextToken }) };
}

export function stopBuildInput(runId: string): StopBuildCommandInput {
  return { id: runId };
}

export function projectsInput(prefix: string): BatchGetProjectsCommandInput {
  return { names: buildKinds.map((kind) => buildProjectName(prefix, kind)) };
}

export type LogPlace = { readonly group: string; readonly stream: string };

/** Log events after a token, or the first; 1 to 10,000 of them. A forward token needs `startFromHead`. */
export function logEventsInput(
  place: LogPlace,
  query: { readonly token: string | undefined; readonly limit: number },
): GetLogEventsCommandInput {
  return {
    logGroupName: place.group,
    logStreamName: place.stream,
    startFromHead: true,
    limit: Math.min(10_000, query.limit),
    ...(query.token === undefined ? {} : { nextToken: query.token }),
  };
}
