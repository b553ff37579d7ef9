import type { RolloutPolicy } from '../../apps/schema.ts';
import type { Revision, RolloutCounts, RolloutStatus, TargetRef } from '../../ports/fleet.ts';
import type { RecordKey, Records, Stored, WriteOptions } from '../../ports/records.ts';
import type { EpochMs } from '../../runtime/units.ts';
import type { FailureCount } from './failures.ts';

/** What is remembered of a rollout from before its first call on. */
type Begun = {
  readonly id: string;
  readonly cluster: string;
  readonly service: string;
  readonly serviceArn: string;
  readonly revision: Revision;
  readonly policy: RolloutPolicy;
  readonly startedAt: EpochMs;
  /** The task definition (ARN) that is put back when the rollout is reverted. */
  readonly before: string;
  /** The task definition (ARN) whose fields that are not ours are taken over. */
  readonly base: string;
  /** The family that the service runs, and that of the stack's templates, where it has one. */
  readonly family: string;
  readonly template?: string;
};

/** How a rollout is put back: by ECS's own rollback, or by an update of the service to the definition from before. */
export type Undoing = {
  readonly by: 'rollback' | 'update';
  readonly reason: string;
  readonly since: EpochMs;
  /** When ECS was asked and answered; left out: it may or may not have been. */
  readonly askedAt?: EpochMs;
};

export type RolloutEnd = {
  readonly status: Extract<RolloutStatus, 'succeeded' | 'reverted' | 'revert_failed'>;
  readonly reason: string;
  readonly counts: RolloutCounts;
};

/**
 * A rollout, written before each call that must not be made twice and after it.
 *
 * - `never`: it was reverted before it began, and does not begin any more.
 * - `preparing`: its task definition may have been registered; found again by its tag.
 * - `registered`: the service may have been updated; each rollout has a definition of its own, so that shows.
 * - `rolling`, `reverting`: ECS was told so.
 */
export type RolloutRecord =
  | { readonly phase: 'never'; readonly id: string; readonly reason: string }
  | (Begun & { readonly phase: 'preparing' })
  | (Begun & { readonly phase: 'registered'; readonly taskDefinition: string })
  | RollingRecord
  | RevertingRecord
  | (Begun & { readonly phase: 'ended'; readonly taskDefinition?: string; readonly end: RolloutEnd });
export type LiveRecord = Exclude<RolloutRecord, { phase: 'never' | 'ended' }>;
export type PreparingRecord = Extract<RolloutRecord, { phase: 'preparing' }>;
export type RegisteredRecord = Extract<RolloutRecord, { phase: 'registered' }>;
export type RollingRecord = Begun & {
  readonly phase: 'rolling';
  readonly taskDefinition: string;
  /** The service deployment's ARN, once it was found. */
  readonly deployment?: string;
};
export type RevertingRecord = Begun & {
  readonly phase: 'reverting';
  readonly taskDefinition: string;
  readonly deployment?: string;
  readonly undoing: Undoing;
};

/** What is remembered of a target besides its rollouts. */
export type TargetRecord = {
  /** The rollout that was begun last, and when. */
  readonly newest?: { readonly rolloutId: string; readonly startedAt: EpochMs };
  readonly failures?: FailureCount;
};

/** Service deployments can be looked up for 90 days, so a rollout is not remembered for longer. */
const rememberedMs = 90 * 24 * 3_600_000;

export const targetPartition = ({ app, environment, target }: TargetRef): string =>
  `fleet/${app}/${environment}/${target.name}`;
const rolloutKey = (ref: TargetRef, id: string): RecordKey => ({
  partition: targetPartition(ref),
  sort: `rollout/${id}`,
});
const targetKey = (ref: TargetRef): RecordKey => ({ partition: targetPartition(ref), sort: 'target' });
const definitionKey = (ref: TargetRef, arn: string): RecordKey => ({
  partition: targetPartition(ref),
  sort: `definition/${arn}`,
});
const serviceKey = (serviceArn: string): RecordKey => ({ partition: `fleet-service/${serviceArn}`, sort: 'newest' });

export async function findRollout(
  records: Pick<Records, 'find'>,
  ref: TargetRef,
  id: string,
): Promise<Stored<RolloutRecord> | undefined> {
  return await records.find<RolloutRecord>(rolloutKey(ref, id));
}

/** Undefined when it was written before. */
export async function createRollout(
  records: Pick<Records, 'create'>,
  ref: TargetRef,
  record: RolloutRecord,
): Promise<Stored<RolloutRecord> | undefined> {
  return await records.create(rolloutKey(ref, record.id), record, expiryOf(record));
}

/** Undefined when somebody else has written since it was read. */
export async function replaceRollout<Record extends RolloutRecord>(
  records: Pick<Records, 'replace'>,
  stored: Stored<RolloutRecord>,
  record: Record,
): Promise<Stored<Record> | undefined> {
  return await records.replace<Record>(stored as Stored<Record>, record, expiryOf(record));
}

/** Ends a rollout; undefined when somebody else has written since it was read. */
export async function endRollout(
  records: Pick<Records, 'replace'>,
  stored: Stored<Exclude<RolloutRecord, { phase: 'never' }>>,
  end: RolloutEnd,
): Promise<Stored<RolloutRecord> | undefined> {
  const { taskDefinition } = stored.value as { readonly taskDefinition?: string };
  const record = {
    ...begunOf(stored.value),
    phase: 'ended',
    end,
    ...(taskDefinition !== undefined && { taskDefinition }),
  } as const;
  return await replaceRollout<RolloutRecord>(records, stored, record);
}

/** What every phase knows. */
export function begunOf(record: Exclude<RolloutRecord, { phase: 'never' }>): Begun {
  const { id, cluster, service, serviceArn, revision, policy, startedAt, before, base, family, template } = record;
  const begun = { id, cluster, service, serviceArn, revision, policy, startedAt, before, base, family };
  return template === undefined ? begun : { ...begun, template };
}

/**
 * Whether a later rollout was begun on the target; ECS has stopped this one's deployment then. One that was killed
 * before it said that it is the newest is not taken over by the one before it.
 */
export async function isTakenOver(
  records: Pick<Records, 'find'>,
  ref: TargetRef,
  record: Pick<Begun, 'id' | 'startedAt'>,
): Promise<boolean> {
  const { newest } = await readTarget(records, ref);
  return newest !== undefined && newest.rolloutId !== record.id && newest.startedAt >= record.startedAt;
}

export const noCounts: RolloutCounts = {
  desired: 0,
  newServing: 0,
  newStarting: 0,
  oldServing: 0,
  draining: 0,
  failed: 0,
};

function expiryOf(record: RolloutRecord): WriteOptions {
  if (record.phase === 'never') return {};
  return { expiresAtSeconds: Math.floor((record.startedAt + rememberedMs) / 1000) };
}

export async function readTarget(records: Pick<Records, 'find'>, ref: TargetRef): Promise<TargetRecord> {
  return (await records.find<TargetRecord>(targetKey(ref)))?.value ?? {};
}

/** Reads, changes and writes until nobody wrote in between; `change` says undefined to leave it as it is. */
export async function changeTarget(
  records: Records,
  ref: TargetRef,
  change: (target: TargetRecord) => TargetRecord | undefined,
): Promise<TargetRecord> {
  for (;;) {
    const stored = await records.find<TargetRecord>(targetKey(ref));
    const value = change(stored?.value ?? {});
    if (!value) return stored?.value ?? {};
    const written = stored ? await records.replace(stored, value) : await records.create(targetKey(ref), value);
    if (written) return value;
  }
}

/** Which revision of ours a task definition (ARN) runs; undefined for one that is not ours. */
export async function findRevision(
  records: Pick<Records, 'find'>,
  ref: TargetRef,
  taskDefinition: string,
): Promise<Revision | undefined> {
  return (await records.find<Revision>(definitionKey(ref, taskDefinition)))?.value;
}

/** It never changes, so whoever writes it first is right. */
export async function rememberRevision(
  records: Pick<Records, 'create'>,
  ref: TargetRef,
  entry: { readonly taskDefinition: string; readonly revision: Revision },
): Promise<void> {
  await records.create(definitionKey(ref, entry.taskDefinition), entry.revision);
}

/** The rollout that was begun last on a service (ARN): an event of ECS names the service alone. */
export async function rolloutOfService(
  records: Pick<Records, 'find'>,
  serviceArn: string,
): Promise<string | undefined> {
  return (await records.find<{ readonly rolloutId: string }>(serviceKey(serviceArn)))?.value.rolloutId;
}

export async function rememberRolloutOfService(records: Records, serviceArn: string, rolloutId: string): Promise<void> {
  const key = serviceKey(serviceArn);
  for (;;) {
    const stored = await records.find<{ readonly rolloutId: string }>(key);
    if (stored?.value.rolloutId === rolloutId) return;
    if (await (stored ? records.replace(stored, { rolloutId }) : records.create(key, { rolloutId }))) return;
  }
}

/** Forgets everything of a target. */
export async function forgetTarget(records: Records, ref: TargetRef, serviceArn: string | undefined): Promise<void> {
  const partition = targetPartition(ref);
  for (let page = await records.list({ partition }); ; page = await records.list({ partition, after: page.next })) {
    await Promise.all(page.items.map((stored) => records.remove(stored)));
    if (page.next === undefined) break;
  }
  const stored = serviceArn === undefined ? undefined : await records.find(serviceKey(serviceArn));
  if (stored) await records.remove(stored);
}
