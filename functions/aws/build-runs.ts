import {
  BatchGetBuildsCommand,
  ListBuildsForProjectCommand,
  type Build,
  type CodeBuildClient,
} from '@aws-sdk/client-codebuild';
import type { BuildKind } from '../ports/builder.ts';
import type { RecordKey, Records } from '../ports/records.ts';
import { Problem } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';
import { specOf } from './build-observation.ts';
import { batchGetBuildsInput, listBuildsInput, type LogPlace } from './build-requests.ts';
import { answered, isNamed } from './client.ts';
import { buildKinds } from '../runtime/aws-names.ts';

/** What CodeBuild calls one of our builds. The state machine starts them, so only CodeBuild knows at first. */
export type BuildRun = {
  /** `sluice-build-bundle:8745a7a9-c340-456a-9166-edf953571bEX` */
  readonly runId: string;
  readonly startedAt: EpochMs;
  /** Known once the build has a machine. */
  readonly log?: LogPlace;
};

export type BuildPlace = {
  readonly client: CodeBuildClient;
  readonly records: Records;
  readonly prefix: string;
  readonly clock: () => EpochMs;
};

/** The service in the words of errors. */
export const builderWords = 'The build service';

/** CodeBuild keeps a build's history for a year. */
const keptSeconds = 366 * 24 * 3600;
/** So far back, 100 builds a page, a build is looked for that no event told of. */
const maxPages = 3;

/** What is known of a build's run; undefined when it was not remembered. */
export async function recallBuildRun(records: Records, buildId: string): Promise<BuildRun | undefined> {
  return (await records.find<BuildRun>(keyOf(buildId)))?.value;
}

/** Writes a run down. Of two runs of one build the later one counts; told twice, or late, it changes nothing. */
export async function keepBuildRun(records: Records, buildId: string, run: BuildRun): Promise<BuildRun> {
  const options = { expiresAtSeconds: Math.floor(run.startedAt / 1000) + keptSeconds };
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const found = await records.find<BuildRun>(keyOf(buildId));
    if (!found) {
      if (await records.create(keyOf(buildId), run, options)) return run;
      continue;
    }
    const next = newer(found.value, run);
    if (next === found.value || (await records.replace(found, next, options))) return next;
  }
  throw new Problem('busy', 'The record of a build is being changed too often; try again');
}

/** Finds a build's run, asking CodeBuild for its newest builds when it was not remembered: events are best-effort. */
export async function findBuildRun(place: BuildPlace, buildId: string): Promise<BuildRun | undefined> {
  checkBuildId(buildId);
  const known = await recallBuildRun(place.records, buildId);
  if (known) return known;
  const [newest] = await searchBuilds(place, buildId);
  return newest && (await keepBuildRun(place.records, buildId, newest));
}

/** All runs of a build among the newest of CodeBuild's, the latest first. */
export async function searchBuilds(
  place: BuildPlace,
  buildId: string,
  kinds: readonly BuildKind[] = buildKinds,
): Promise<readonly BuildRun[]> {
  const found = await Promise.all(kinds.map(async (kind) => await searchKind(place, buildId, kind)));
  return found.flat().sort((a, b) => b.startedAt - a.startedAt);
}

/** Whether CodeBuild may not know a run yet that it has started: what it lists and describes comes a little late. */
export function isFresh(run: BuildRun, now: EpochMs): boolean {
  return now - run.startedAt < 60_000;
}

/** A build as CodeBuild describes it; undefined for one that it does not know, or not yet. */
export async function describeRun(client: CodeBuildClient, runId: string): Promise<Build | undefined> {
  const { builds = [] } = await answered(
    builderWords,
    client.send(new BatchGetBuildsCommand(batchGetBuildsInput([runId]))),
  );
  return builds[0];
}

/** The run that a description is of. `logs` names a stream only once the build has a machine. */
export function runOf(build: Build, now: EpochMs): BuildRun {
  const { groupName: group, streamName: stream } = build.logs ?? {};
  return {
    runId: build.id ?? '',
    startedAt: build.startTime?.getTime() ?? now,
    ...(group && stream ? { log: { group, stream } } : {}),
  };
}

/** An id becomes part of a record's key. */
export function checkBuildId(buildId: string): void {
  if (isBuildId(buildId)) return;
  const expected = 'the id of a build';
  throw new Problem('invalid', `build: expected ${expected}`, { issues: [{ field: 'build', expected }] });
}

export function isBuildId(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(text);
}

async function searchKind(place: BuildPlace, buildId: string, kind: BuildKind): Promise<readonly BuildRun[]> {
  let nextToken: string | undefined;
  for (let page = 0; page < maxPages; page += 1) {
    const listed = await listPage(place, kind, nextToken);
    if (listed.ids.length === 0) return [];
    const { builds = [] } = await answered(
      builderWords,
      place.client.send(new BatchGetBuildsCommand(batchGetBuildsInput(listed.ids))),
    );
    const ours = builds.filter((build) => build.id && specOf(build)?.buildId === buildId);
    if (ours.length > 0) return ours.map((build) => runOf(build, place.clock()));
    nextToken = listed.nextToken;
    if (nextToken === undefined) return [];
  }
  return [];
}

async function listPage({ client, prefix }: BuildPlace, kind: BuildKind, nextToken: string | undefined) {
  try {
    const command = new ListBuildsForProjectCommand(listBuildsInput(prefix, kind, nextToken));
    const listed = await answered(builderWords, client.send(command));
    return { ids: listed.ids ?? [], nextToken: listed.nextToken };
  } catch (error) {
    // An installation without the project has no such builds; `ready` says that it lacks.
    if (isNamed(error, 'ResourceNotFoundException')) return { ids: [], nextToken: undefined };
    throw error;
  }
}

function newer(known: BuildRun, told: BuildRun): BuildRun {
  if (known.runId !== told.runId) return told.startedAt > known.startedAt ? told : known;
  return known.log || !told.log ? known : { ...known, log: told.log };
}

const keyOf = (buildId: string): RecordKey => ({ partition: `build-run/${buildId}`, sort: 'run' });
