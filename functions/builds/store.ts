import type { BuildKind, PhaseTime } from '../ports/builder.ts';
import type { RecordKey, Records } from '../ports/records.ts';
import { createRecord, getRecord, updateRecord, type Shape } from '../ports/update.ts';
import type { Digest, EpochMs } from '../runtime/units.ts';
import { numberOf } from './number.ts';

/** One attempt to make an artifact from what a deployment names: a source, an image, a URL. */
export type Build = {
  readonly id: string;
  /** How flat-manager's clients know it; its number among builds by upload. */
  readonly number?: number;
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
    list: { partition: allBuilds, sort: buildSort(build) },
    lookup: { partition: appBuilds(build.app), sort: buildSort(build) },
  }),
};

/** Where builds of both kinds are listed, oldest first: all of them, and each app's. */
export const allBuilds = 'builds';
export const appBuilds = (app: string) => `builds/${app}`;
export const buildSort = ({ createdAt, id }: Pick<Build, 'createdAt' | 'id'>) =>
  `${String(createdAt).padStart(14, '0')}/${id}`;

const keyOf = (id: string): RecordKey => ({ partition: `build/${id}`, sort: 'build' });
const numberKeyOf = (number: number): RecordKey => ({ partition: `build-number/${number}`, sort: 'build' });

/** Writes a new build, and its number; one that is there already stays as it is. */
export async function createBuild(records: Records, build: Build): Promise<void> {
  const number = await numberBuild(records, build.id);
  await createRecord(records, shape, { key: keyOf(build.id), value: { ...build, number } });
}

/** The build of a number; undefined when it is none of these. */
export async function findBuildByNumber(records: Records, number: number): Promise<Build | undefined> {
  const stored = await records.find<{ readonly build: string }>(numberKeyOf(number));
  return stored && (await findBuild(records, stored.value.build));
}

/** Two ids may lead to one number: then the second tries its next. */
async function numberBuild(records: Records, id: string): Promise<number> {
  for (let attempt = 0; ; attempt += 1) {
    const number = numberOf(`${id}/${attempt}`);
    if (await claimNumber(records, number, id)) return number;
  }
}

/** Takes a number for a build of whichever kind; false when another build has it. */
export async function claimNumber(records: Records, number: number, build: string): Promise<boolean> {
  const key = numberKeyOf(number);
  if (await records.create(key, { build })) return true;
  return (await records.find<{ readonly build: string }>(key))?.value.build === build;
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
