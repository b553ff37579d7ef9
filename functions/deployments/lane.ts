import type { CommitSha, EpochMs } from '../runtime/units.ts';

/**
 * A queue with one place at its head: who is active may work, the others wait in order. One lane an app and
 * environment for deployments, and one an app for builds. Pure; `lane-store.ts` keeps it.
 */
export type Lane = {
  readonly active: LaneEntry | undefined;
  readonly queue: readonly LaneEntry[];
  /** The newest that ever entered with `supersedes`: an older one that comes later is late and has lost already. */
  readonly newest?: Pick<LaneEntry, 'holder' | 'at'>;
  /** The last push that entered, by which a second delivery of it is known. */
  readonly lastPush?: LanePush & { readonly holder: string };
};

export type LaneEntry = {
  readonly holder: string;
  /** When what it stands for was made; the order of two entries of the same moment is that of their holders. */
  readonly at: EpochMs;
  /** Replaces the older ones that wait. */
  readonly supersedes: boolean;
  /** Whom to wake when its turn comes, where somebody waits. */
  readonly token?: string;
};

export type LanePush = {
  readonly commit: CommitSha;
  /** When the repository was pushed to, as its host says (seconds). */
  readonly pushedAtSeconds?: number;
};

export const emptyLane: Lane = { active: undefined, queue: [] };

export type Entered =
  | { readonly outcome: 'active' | 'queued'; readonly lane: Lane; readonly superseded: readonly LaneEntry[] }
  /** A newer one is there: this one has lost before it came. */
  | { readonly outcome: 'late'; readonly by: string }
  /** The push is known: `by` stands for it. */
  | { readonly outcome: 'duplicate'; readonly by: string };

/**
 * Brings an entry into a lane; one that is in it keeps its place (a new token replaces the old one), and the very same
 * lane comes back when nothing is new.
 */
export function enterLane(lane: Lane, entry: LaneEntry, push?: LanePush): Entered {
  const there = [...(lane.active ? [lane.active] : []), ...lane.queue].find(({ holder }) => holder === entry.holder);
  if (there) {
    const outcome = there === lane.active ? 'active' : 'queued';
    return { outcome, lane: isSame(there, entry) ? lane : renewed(lane, there, entry), superseded: [] };
  }
  const known = push && knownPush(lane, push);
  if (known && known.by !== entry.holder) return known;
  if (entry.supersedes && lane.newest && isOlder(entry, lane.newest))
    return { outcome: 'late', by: lane.newest.holder };
  return join(lane, entry, push);
}

/** Takes an entry out, wherever it stands; `granted` is who becomes active by it. */
export function leaveLane(
  lane: Lane,
  holder: string,
): { readonly lane: Lane; readonly granted: LaneEntry | undefined } {
  if (lane.active?.holder !== holder) {
    return { lane: { ...lane, queue: lane.queue.filter((entry) => entry.holder !== holder) }, granted: undefined };
  }
  const [granted, ...queue] = lane.queue;
  return { lane: { ...lane, active: granted, queue }, granted };
}

function isSame(there: LaneEntry, { at, supersedes, token }: LaneEntry): boolean {
  return there.at === at && there.supersedes === supersedes && (token === undefined || there.token === token);
}

function renewed(lane: Lane, there: LaneEntry, entry: LaneEntry): Lane {
  const now = { ...there, ...entry };
  if (there === lane.active) return { ...lane, active: now };
  return { ...lane, queue: lane.queue.map((waiting) => (waiting === there ? now : waiting)) };
}

function join(lane: Lane, entry: LaneEntry, push: LanePush | undefined): Entered {
  const superseded = entry.supersedes
    ? lane.queue.filter((waiting) => waiting.supersedes && isOlder(waiting, entry))
    : [];
  const queue = lane.queue.filter((waiting) => !superseded.includes(waiting));
  const joined: Lane = {
    ...lane,
    ...(lane.active ? { queue: [...queue, entry] } : { active: entry, queue }),
    ...(entry.supersedes ? { newest: { holder: entry.holder, at: entry.at } } : {}),
    ...(push ? { lastPush: { ...push, holder: entry.holder } } : {}),
  };
  return { outcome: lane.active ? 'queued' : 'active', lane: joined, superseded };
}

/** The lane without the memory of who came before: for a place that begins anew. */
export function forgetPast({ active, queue }: Lane): Lane {
  return { active, queue };
}

/** Whether a push is the lane's last one come again, or an older one come late. */
export function knownPush(lane: Lane, push: LanePush): (Entered & { outcome: 'duplicate' | 'late' }) | undefined {
  const last = lane.lastPush;
  if (!last) return undefined;
  if (last.commit === push.commit) return { outcome: 'duplicate', by: last.holder };
  const isLate = push.pushedAtSeconds !== undefined && push.pushedAtSeconds < (last.pushedAtSeconds ?? 0);
  return isLate ? { outcome: 'late', by: last.holder } : undefined;
}

function isOlder(a: Pick<LaneEntry, 'holder' | 'at'>, b: Pick<LaneEntry, 'holder' | 'at'>): boolean {
  return a.at < b.at || (a.at === b.at && a.holder < b.holder);
}
