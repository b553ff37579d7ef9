import type { RecordKey, Records } from '../ports/records.ts';
import type { Digest, EpochMs } from '../runtime/units.ts';

/** What an environment is meant to run: the last artifact that was published there, and those before it. */
export type Pointer = {
  /** Newest first; the first is the current one. */
  readonly history: readonly Published[];
};

export type Published = {
  readonly artifact: Digest;
  readonly kind: 'image' | 'bundle' | 'ostree';
  /** The blob that names its objects; undefined for what was built here from Git. */
  readonly manifest?: Digest;
  /** The build that was published, or where it was promoted from. */
  readonly build?: number;
  readonly from?: string;
  /** The job that published it: publishing is done once for each. */
  readonly jobId: number;
  readonly at: EpochMs;
  readonly by: string;
};

/** As many as an environment remembers of what it has run. */
const mostHistory = 100;

const keyOf = (app: string, environment: string): RecordKey => ({
  partition: `published/${app}/${environment}`,
  sort: 'pointer',
});

type Place = { readonly app: string; readonly environment: string };

export async function readPointer(records: Records, { app, environment }: Place): Promise<Pointer> {
  return (await records.find<Pointer>(keyOf(app, environment)))?.value ?? { history: [] };
}

/**
 * Moves an environment's pointer, in one conditional write; what a job has published before is not published again. The
 * job's lane makes sure that no other one of the environment is at it; the condition, that one which lost it is not either.
 */
export async function movePointer(records: Records, place: Place, published: Published): Promise<Pointer> {
  const key = keyOf(place.app, place.environment);
  for (;;) {
    const stored = await records.find<Pointer>(key);
    const history = stored?.value.history ?? [];
    if (stored && history.some(({ jobId }) => jobId === published.jobId)) return stored.value;
    const value: Pointer = { history: [published, ...history].slice(0, mostHistory) };
    if (await (stored ? records.replace(stored, value) : records.create(key, value))) return value;
  }
}

/** Forgets what was published in an environment that is gone. */
export async function forgetPointer(records: Records, { app, environment }: Place): Promise<void> {
  const stored = await records.find<Pointer>(keyOf(app, environment));
  if (stored) await records.remove(stored);
}
