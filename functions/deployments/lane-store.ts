import { Problem } from '../runtime/errors.ts';
import type { RecordKey, Records, Stored } from '../ports/records.ts';
import { emptyLane, enterLane, leaveLane, type Entered, type Lane, type LaneEntry, type LanePush } from './lane.ts';

const maxAttempts = 200;

/** The lane in which an environment's deployments follow each other. */
export function deploymentLane(app: string, environment: string): string {
  return `deploy/${app}/${environment}`;
}

/** The lane in which an app's builds follow each other. */
export function buildLane(app: string): string {
  return `build/${app}`;
}

export async function readLane(records: Records, name: string): Promise<Lane> {
  return (await records.find<Lane>(keyOf(name)))?.value ?? emptyLane;
}

/** Brings an entry into a lane, made when it is not there yet; entering again is harmless. */
export async function enter(
  records: Records,
  name: string,
  what: { readonly entry: LaneEntry; readonly push?: LanePush },
): Promise<Entered> {
  return await change(records, name, (lane) => {
    const entered = enterLane(lane, what.entry, what.push);
    return { result: entered, lane: 'lane' in entered ? entered.lane : lane };
  });
}

/** Takes a holder out of a lane; the entry that becomes active by it, if any. Leaving twice is harmless. */
export async function leave(records: Records, name: string, holder: string): Promise<LaneEntry | undefined> {
  return await change(records, name, (lane) => {
    const isIn = lane.active?.holder === holder || lane.queue.some((entry) => entry.holder === holder);
    if (!isIn) return { result: undefined, lane };
    const left = leaveLane(lane, holder);
    return { result: left.granted, lane: left.lane };
  });
}

function keyOf(name: string): RecordKey {
  return { partition: `lane/${name}`, sort: 'lane' };
}

async function change<R>(
  records: Records,
  name: string,
  decide: (lane: Lane) => { result: R; lane: Lane },
): Promise<R> {
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const stored = await records.find<Lane>(keyOf(name));
    const before = stored?.value ?? emptyLane;
    const { result, lane } = decide(before);
    if (lane === before || (await write(records, { name, stored, lane }))) return result;
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
