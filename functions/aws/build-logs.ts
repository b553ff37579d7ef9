import {
  GetLogEventsCommand,
  type CloudWatchLogsClient,
  type GetLogEventsCommandOutput,
} from '@aws-sdk/client-cloudwatch-logs';
import type { Build } from '@aws-sdk/client-codebuild';
import type { Builder, LogPage } from '../ports/builder.ts';
import { decodeLogCursor, encodeLogCursor, headOf, notOurs, type LogPosition } from './build-log-cursor.ts';
import { linesOf } from './build-log-lines.ts';
import { hasEnded } from './build-observation.ts';
import { logEventsInput, type LogPlace } from './build-requests.ts';
import {
  describeRun,
  findBuildRun,
  isFresh,
  keepBuildRun,
  runOf,
  type BuildPlace,
  type BuildRun,
} from './build-runs.ts';
import { answered, isNamed } from './client.ts';
import { recently } from './recently.ts';

export type BuildLogPlace = BuildPlace & { readonly logs: CloudWatchLogsClient };

/** Whoever follows a log asks several times a second; whether a build is there, or over, is asked less often. */
const newsSeconds = 3;
/** The last lines of a build may reach CloudWatch after its end. */
const settleMs = 5000;
/** CloudWatch may give an empty page in the middle of a log. */
const maxEmptyPages = 5;

/**
 * The log of a build, from CloudWatch Logs by its own forward token: `GetLogEvents`, as its token stays where it is at
 * the end of a stream and goes on when lines follow; `FilterLogEvents` gives none there. A log has come to its end when
 * the token does not move and the build has been over for some seconds.
 * https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
 */
export function readBuildLogs(place: BuildLogPlace): Pick<Builder, 'logs'> {
  const runs = recently<BuildRun | undefined>({ clock: place.clock, seconds: newsSeconds });
  const builds = recently<Build | undefined>({ clock: place.clock, seconds: newsSeconds });

  /** A run is remembered for good by `findBuildRun`; that there is none only for a moment. */
  const findRun = async (buildId: string) => await runs(buildId, async () => await findBuildRun(place, buildId));
  const describe = async ({ runId }: BuildRun) =>
    await builds(runId, async () => await describeRun(place.client, runId));

  /** Where the log is; undefined until the build has a machine. */
  async function locate(buildId: string, run: BuildRun): Promise<LogPlace | undefined> {
    if (run.log) return run.log;
    const build = await describe(run);
    const { log } = build ? runOf(build, run.startedAt) : run;
    if (log) await keepBuildRun(place.records, buildId, { ...run, log });
    return log;
  }

  async function isOver(run: BuildRun): Promise<boolean> {
    const build = await describe(run);
    if (!build) return !isFresh(run, place.clock());
    return hasEnded(build) && (build.endTime?.getTime() ?? 0) + settleMs <= place.clock();
  }

  return {
    async logs(buildId, query = {}): Promise<LogPage> {
      const position = decodeLogCursor(buildId, query.after);
      const limit = Math.min(10_000, Math.max(1, query.limit ?? 1000));
      const run = await findRun(buildId);
      if (!run) return { lines: [], next: encodeLogCursor(buildId, position), done: true };
      // A build that was made anew has a log of its own.
      const from = position.runId === run.runId ? position : headOf(run.runId);
      const log = await locate(buildId, run);
      const read = log ? await readOn(place.logs, log, { from, limit }) : { lines: [], next: from, atEnd: true };
      const next = encodeLogCursor(buildId, read.next);
      return { lines: read.lines, next, done: read.atEnd && (await isOver(run)) };
    },
  };
}

type Read = { readonly lines: LogPage['lines']; readonly next: LogPosition; readonly atEnd: boolean };

async function readOn(
  client: CloudWatchLogsClient,
  log: LogPlace,
  { from, limit }: { readonly from: LogPosition; readonly limit: number },
): Promise<Read> {
  let at = from;
  for (let page = 0; page < maxEmptyPages; page += 1) {
    const { events = [], nextForwardToken } = await readEvents(client, log, { at, limit });
    const { lines, phase } = linesOf(events, at.phase);
    const rest = lines.slice(at.skip);
    // One event may have several lines: its rest is read again.
    if (rest.length > limit) {
      return { lines: rest.slice(0, limit), next: { ...at, skip: at.skip + limit }, atEnd: false };
    }
    const next = { ...at, token: nextForwardToken ?? at.token, skip: 0, phase };
    if (rest.length > 0) return { lines: rest, next, atEnd: false };
    if (next.token === at.token) return { lines: [], next, atEnd: true };
    at = next;
  }
  return { lines: [], next: at, atEnd: false };
}

async function readEvents(
  client: CloudWatchLogsClient,
  log: LogPlace,
  { at, limit }: { readonly at: LogPosition; readonly limit: number },
): Promise<Pick<GetLogEventsCommandOutput, 'events' | 'nextForwardToken'>> {
  try {
    const command = new GetLogEventsCommand(logEventsInput(log, { token: at.token, limit: at.skip + limit }));
    return await answered('The log of builds', client.send(command));
  } catch (error) {
    // The stream is made when the build has its machine.
    if (isNamed(error, 'ResourceNotFoundException')) return {};
    if (at.token !== undefined && isNamed(error, 'InvalidParameterException')) throw notOurs();
    throw error;
  }
}
