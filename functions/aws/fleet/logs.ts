import {
  type CloudWatchLogsClient,
  FilterLogEventsCommand,
  type FilterLogEventsCommandInput,
} from '@aws-sdk/client-cloudwatch-logs';
import { DescribeTaskDefinitionCommand, type ECSClient, type TaskDefinition } from '@aws-sdk/client-ecs';
import type { LogPage } from '../../ports/builder.ts';
import type { TargetRef } from '../../ports/fleet.ts';
import type { EpochMs } from '../../runtime/units.ts';
import { answered, isNamed } from '../client.ts';
import { decodeLogCursor, encodeLogCursor, type LogCursor } from './log-cursor.ts';
import { findService, managedIssue, serviceNameOf } from './service.ts';
import { containerNameOf } from './task-definition.ts';

export type LogParts = {
  readonly ecs: ECSClient;
  readonly logs: CloudWatchLogsClient;
  readonly prefix: string;
  readonly clock: () => EpochMs;
};

/** Where a container prints to: its streams are `<prefix>/<container>/<task's id>`. */
export type LogPlace = { readonly group: string; readonly streams: string };

/**
 * The log driver sends what each task prints in batches, so a line may come after a later one of another task. Lines
 * are shown when they are this old: then none comes that would belong before them.
 */
export const settleMs = 10_000;
/** CloudWatch may answer with pages that hold nothing; so many are read in one call. */
const maxEmptyPages = 10;

/** What the target's tasks print, oldest first; three calls, and one for each empty page. A line's phase is its task. */
export async function readTargetLogs(
  parts: LogParts,
  ref: TargetRef,
  query: { readonly after?: string; readonly limit?: number } = {},
): Promise<LogPage> {
  const cursor = decodeLogCursor(query.after);
  const name = serviceNameOf(ref);
  const service = name && (await findService(parts.ecs, name));
  const isOurs = service && managedIssue(service, { ...ref, prefix: parts.prefix }) === undefined;
  if (!isOurs) return { lines: [], next: encodeLogCursor(cursor), done: true };
  const describe = new DescribeTaskDefinitionCommand({ taskDefinition: service.taskDefinition ?? '' });
  const { taskDefinition } = await answered('ECS', parts.ecs.send(describe));
  const place = logPlaceOf(taskDefinition, containerNameOf(ref));
  const isIdle = (service.runningCount ?? 0) + (service.pendingCount ?? 0) === 0;
  if (!place) return { lines: [], next: encodeLogCursor(cursor), done: true };
  const page = await readPage(parts, place, { cursor, limit: query.limit ?? 1000 });
  const { lines, next, isLast } = page;
  return { lines, next, done: isIdle && isLast && lines.length === 0 };
}

/** Undefined for a container that logs elsewhere than in CloudWatch. Pure. */
export function logPlaceOf(definition: TaskDefinition | undefined, container: string): LogPlace | undefined {
  const { logDriver, options } =
    definition?.containerDefinitions?.find(({ name }) => name === container)?.logConfiguration ?? {};
  const group = options?.['awslogs-group'];
  const prefix = options?.['awslogs-stream-prefix'];
  if (logDriver !== 'awslogs' || group === undefined || prefix === undefined) return undefined;
  return { group, streams: `${prefix}/${container}/` };
}

/** https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html; times are inclusive. */
export function filterInput(
  place: LogPlace,
  from: {
    readonly cursor: LogCursor;
    readonly limit: number;
    readonly now: EpochMs;
    readonly token?: string | undefined;
  },
): FilterLogEventsCommandInput {
  const { cursor, limit, now, token } = from;
  return {
    logGroupName: place.group,
    logStreamNamePrefix: place.streams,
    startTime: cursor.since,
    endTime: now - settleMs,
    limit: Math.min(10_000, limit + cursor.seen.length),
    ...(token !== undefined && { nextToken: token }),
  };
}

async function readPage(
  parts: LogParts,
  place: LogPlace,
  { cursor, limit }: { readonly cursor: LogCursor; readonly limit: number },
): Promise<{ lines: LogPage['lines']; next: string; isLast: boolean }> {
  const seen = new Set(cursor.seen);
  const now = parts.clock();
  let token: string | undefined;
  for (let pages = 0; pages < maxEmptyPages; pages += 1) {
    const { events = [], nextToken } = await filterEvents(
      parts.logs,
      filterInput(place, { cursor, limit, now, token }),
    );
    const fresh = events.filter(({ eventId }) => !seen.has(eventId ?? '')).slice(0, limit);
    if (fresh.length > 0 || nextToken === undefined) {
      const lines = fresh.map(({ timestamp = 0, logStreamName = '', message = '' }) => ({
        at: timestamp,
        phase: logStreamName.split('/').at(-1) ?? '',
        text: message.replace(/\r?\n$/, ''),
      }));
      return { lines, next: encodeLogCursor(advance(cursor, fresh)), isLast: nextToken === undefined };
    }
    token = nextToken;
  }
  return { lines: [], next: encodeLogCursor(cursor), isLast: false };
}

/** A group that nobody has written to is not there yet. */
async function filterEvents(logs: CloudWatchLogsClient, input: FilterLogEventsCommandInput) {
  try {
    return await answered('CloudWatch Logs', logs.send(new FilterLogEventsCommand(input)));
  } catch (error) {
    if (isNamed(error, 'ResourceNotFoundException')) return { events: [], nextToken: undefined };
    throw error;
  }
}

/** The place after these events: the newest one's time, and all that were read of that millisecond. */
function advance(
  cursor: LogCursor,
  events: readonly { readonly timestamp?: number | undefined; readonly eventId?: string | undefined }[],
): LogCursor {
  const since = Math.max(cursor.since, ...events.map(({ timestamp = 0 }) => timestamp));
  const at = events.filter(({ timestamp }) => timestamp === since).map(({ eventId = '' }) => eventId);
  return { since, seen: since === cursor.since ? [...cursor.seen, ...at] : at };
}
