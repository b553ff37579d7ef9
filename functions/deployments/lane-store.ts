import { Problem } from '../runtime/errors.ts';
import type { RecordKey, Records, Stored } from '../ports/records.ts';
import {
  emptyLane,
  enterLane,
  forgetPast,
  leaveLane,
  type Entered,
  type Lane,
  type LaneEntry,
  type LanePush,
} from './lane.ts';

const maxAttempts = 200;

/** The lane in which an environment's deployments follow each other. */
export function deploymentLane(app: string, environment: string): string {
  return `deploy/${app}/${environment}`;
}

/** The lane in which an app's builds follow each other. */
export function buildLane(app: string): string {
  return `build/${app}`;
}

/** A lane as it was read, to be changed without reading it again. */
export type LaneRead = { readonly lane: Lane; readonly stored: Stored<Lane> | undefined };

export async function findLane(records: Records, name: string): Promise<LaneRead> {
  const stored = await records.find<Lane>(keyOf(name));
  return { lane: stored?.value ?? emptyLane, stored };
}

export async function readLane(records: Records, name: string): Promise<Lane> {
  return (await findLane(records, name)).lane;
}

export type Entering = {
  readonly entry: LaneEntry;
  readonly push?: LanePush;
  /** The lane as the caller has just read it. */
  readonly read?: LaneRead;
};

/** Brings an entry into a lane, made when it is not there yet; entering again is harmless. */
export async function enter(records: Records, name: string, what: Entering): Promise<Entered> {
  const decide = (lane: Lane) => {
    const entered = enterLane(lane, what.entry, what.push);
    return { result: entered, lane: 'lane' in entered ? entered.lane : lane };
  };
  return await change(records, { name, decide, ...(what.read ? { read: what.read } : {}) });
}

/**
 * Takes a holder out of a lane; the entry that becomes active by it, if any. Leaving twice is harmless. With an entry's
 * token only that entry leaves, and not the same holder who has come again meanwhile.
 */
export async function leave(
  records: Records,
  name: string,
  who: Pick<LaneEntry, 'holder' | 'token'>,
): Promise<LaneEntry | undefined> {
  const isWho = ({ holder, token }: LaneEntry) =>
    holder === who.holder && (who.token === undefined || token === who.token);
  const decide = (lane: Lane) => {
    const isIn = [...(lane.active ? [lane.active] : []), ...lane.queue].some(isWho);
    if (!isIn) return { result: undefined, lane };
    const left = leaveLane(lane, who.holder);
    return { result: left.granted, lane: left.lane };
  };
  return await change(records, { name, decide });
}

/** Forgets who came through a lane before; who is in it stays. */
export async function forgetLanePast(records: Records, name: string): Promise<void> {
  const decide = (lane: Lane) => ({
    result: undefined,
    lane: lane.newest || lane.lastPush ? forgetPast(lane) : lane,
  });
  await change(records, { name, decide });
}

function keyOf(name: string): RecordKey {
  return { partition: `lane/${name}`, sort: 'lane' };
}

type Change<R> = {
  readonly name: string;
  readonly decide: (lane: Lane) => { result: R; lane: Lane };
  readonly read?: LaneRead;
};

async function change<R>(records: Records, { name, decide, read }: Change<R>): Promise<R> {
  let from = read ?? (await findLane(records, name));
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const { result, lane } = decide(from.lane);
    if (lane === from.lane || (await write(records, { name, stored: from.stored, lane }))) return result;
    from = await findLane(records, name);
  }
  throw new Problem('busy', `The lane ${name} is being changed too often; try again`);
}

async function write(
  records: Records,
  to: { name: string; stored: Stored<Lane> | undefined; lane: Lane },
): Promise<boolean> {
  const written = to.stored ? await records.replace(to.stored, to.lane) : await records.create(keyOf(to.name), to.lane);
  return written !== undefined;
}
