import type { BuildKind, PhaseTime } from '../ports/builder.ts';
import type { RecordKey, Records } from '../ports/records.ts';
import { createRecord, getRecord, updateRecord, type Shape } from '../ports/update.ts';
import type { Digest, EpochMs } from '../runtime/units.ts';

/** One attempt to make an artifact. */
export type Build = {
  readonly id: string;
  readonly app: string;
  readonly deploymentId: string;
  readonly kind: BuildKind;
  readonly createdAt: EpochMs;
  readonly fingerprint?: string;
  readonly state: BuildState;
};

/** `interrupted`: it lost its machine and is made again, as another build. */
export type BuildState =
  | { readonly status: 'open' }
  | {
      readonly status: 'succeeded';
      readonly endedAt: EpochMs;
      readonly artifact: Digest;
      readonly phases: readonly PhaseTime[];
    }
  | {
      readonly status: 'failed' | 'timed_out' | 'stopped' | 'interrupted';
      readonly endedAt: EpochMs;
      readonly reason: string;
    };

const shape: Shape<Build> = {
  what: 'build',
  indexesOf: (build) => ({
    list: { partition: 'builds', sort: sortOf(build) },
    lookup: { partition: `builds/${build.app}`, sort: sortOf(build) },
  }),
};

const keyOf = (id: string): RecordKey => ({ partition: `build/${id}`, sort: 'build' });
const sortOf = (build: Build) => `${String(build.createdAt).padStart(14, '0')}/${build.id}`;

/** Writes a new build; one that is there already stays as it is. */
export async function createBuild(records: Records, build: Build): Promise<void> {
  await createRecord(records, shape, { key: keyOf(build.id), value: build });
}

export async function findBuild(records: Records, id: string): Promise<Build | undefined> {
  return (await records.find<Build>(keyOf(id)))?.value;
}

/** Throws `Problem('not-found')`. */
export async function getBuild(records: Records, id: string): Promise<Build> {
  return (await getRecord<Build>(records, shape, { key: keyOf(id), id })).value;
}

/** Ends a build; one that has ended keeps its end, which is the answer. */
export async function endBuild(
  records: Records,
  id: string,
  state: Exclude<BuildState, { status: 'open' }>,
): Promise<Build> {
  const change = (build: Build) => (build.state.status === 'open' ? { ...build, state } : undefined);
  return (await updateRecord(records, shape, { key: keyOf(id), id, change })).value;
}
