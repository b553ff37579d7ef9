import * as v from 'valibot';
import type { Records } from '../ports/records.ts';
import { buildKinds, buildProjectName } from '../runtime/aws-names.ts';
import type { EpochMs } from '../runtime/units.ts';
import { parseSpec } from './build-observation.ts';
import { specVariable } from './build-requests.ts';
import { isBuildId, keepBuildRun, type BuildRun } from './build-runs.ts';

/**
 * The `detail` of `CodeBuild Build State Change`, as far as it is used. Time is that of UTC without saying so:
 * `Sep 1, 2017 4:12:29 PM`.
 * https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications-ref.html
 */
const detailSchema = v.object({
  'build-id': v.pipe(v.string(), v.regex(/:build\/[^/]+:[^/:]+$/)),
  'project-name': v.string(),
  'additional-information': v.object({
    'build-start-time': v.nullish(v.string()),
    environment: v.object({
      'environment-variables': v.array(v.object({ name: v.string(), value: v.nullish(v.string()) })),
    }),
    logs: v.nullish(v.object({ 'group-name': v.nullish(v.string()), 'stream-name': v.nullish(v.string()) })),
  }),
});
type Detail = v.InferOutput<typeof detailSchema>;

/** A state change that is one of our builds'; undefined for any other, and for what is no such event. Pure. */
export function parseBuildEvent(
  prefix: string,
  event: { readonly detail: unknown; readonly at: EpochMs },
): { readonly buildId: string; readonly run: BuildRun } | undefined {
  const parsed = v.safeParse(detailSchema, event.detail);
  if (!parsed.success) return undefined;
  const { output: detail } = parsed;
  if (!buildKinds.some((kind) => buildProjectName(prefix, kind) === detail['project-name'])) return undefined;
  const variables = detail['additional-information'].environment['environment-variables'];
  const spec = parseSpec(variables.find(({ name }) => name === specVariable)?.value ?? undefined);
  return spec && isBuildId(spec.buildId) ? { buildId: spec.buildId, run: runOf(detail, event.at) } : undefined;
}

/**
 * Writes down what CodeBuild calls a build, when its event comes; answers with our id of it, undefined when the event is
 * of no build of ours. An event that comes twice or late changes nothing. `at` is the event's own time.
 *
 * ```ts
 * await rememberBuildRun(records, prefix, { detail: event.detail, at: Date.parse(event.time) });
 * ```
 */
export async function rememberBuildRun(
  records: Records,
  prefix: string,
  event: { readonly detail: unknown; readonly at: EpochMs },
): Promise<string | undefined> {
  const told = parseBuildEvent(prefix, event);
  if (told) await keepBuildRun(records, told.buildId, told.run);
  return told?.buildId;
}

function runOf(detail: Detail, at: EpochMs): BuildRun {
  const { logs, 'build-start-time': started } = detail['additional-information'];
  const startedAt = Date.parse(`${started ?? ''} UTC`);
  const group = logs?.['group-name'];
  const stream = logs?.['stream-name'];
  return {
    runId: detail['build-id'].slice(detail['build-id'].lastIndexOf('/') + 1),
    startedAt: Number.isNaN(startedAt) ? at : startedAt,
    ...(group && stream ? { log: { group, stream } } : {}),
  };
}
