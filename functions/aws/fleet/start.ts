import type { RegisterTaskDefinitionCommandInput, Service } from '@aws-sdk/client-ecs';
import type { RolloutInput, TargetRef } from '../../ports/fleet.ts';
import type { Stored } from '../../ports/records.ts';
import { Problem } from '../../runtime/errors.ts';
import { baseTag, revisionTag, templateTag } from '../../runtime/aws-names.ts';
import { baseOf, describeDefinition, findDefinition, registerDefinition } from './definitions.ts';
import { findDeployment } from './find-deployment.ts';
import { refusalOf } from './refuses.ts';
import {
  changeTarget,
  createRollout,
  findRollout,
  readTarget,
  rememberRevision,
  rememberRolloutOfService,
  replaceRollout,
  type LiveRecord,
  type PreparingRecord,
  type RegisteredRecord,
  type RollingRecord,
  type RolloutRecord,
} from './rollout-record.ts';
import { getManagedService, tagOf, wrong } from './service.ts';
import { containerNameOf, registerInput, type Described } from './task-definition.ts';
import type { RollingParts } from './undo.ts';
import { deploymentConfiguration, rollInput, stuckIssue, updateService } from './update-service.ts';

export type StartingParts = RollingParts & {
  readonly prefix: string;
  /** Where bundles lie. */
  readonly bucket: string;
  /** What ECS reads a secret by: `<its ARN>:::<version>`. */
  readonly secretReference: (name: string, version: string) => string | Promise<string>;
};

/**
 * Begins a rollout: registers a task definition of its own for it and updates the service to that. Written down before
 * each of the two and after, so one that was killed in between goes on when it is started again: 8 calls at most, and
 * 2 to 7 more to find out how far it had come.
 */
export async function startRollout(parts: StartingParts, ref: TargetRef, input: RolloutInput): Promise<void> {
  const found = await findRollout(parts.records, ref, input.id);
  const stored = found ?? (await begin(parts, ref, input));
  if (!stored || !isStarting(stored.value)) return;
  if (!(await announce(parts, ref, stored.value))) return;
  const isResumed = found !== undefined;
  const registered = await register(parts, ref, { stored: stored as Stored<Starting>, isResumed });
  if (registered) await update(parts, ref, { stored: registered, isResumed });
}

type Starting = PreparingRecord | RegisteredRecord;

function isStarting({ phase }: RolloutRecord): boolean {
  return phase === 'preparing' || phase === 'registered';
}

/** Checks what can be seen to be impossible, and writes down what is to be done. Undefined: somebody else began it. */
async function begin(
  parts: StartingParts,
  ref: TargetRef,
  input: RolloutInput,
): Promise<Stored<RolloutRecord> | undefined> {
  const refusal = refusalOf(input.revision.artifact);
  if (refusal !== undefined) throw new Problem('unsupported', refusal);
  const service = await getManagedService(parts, ref);
  checkService(service, ref, input);
  const running = await describeDefinition(parts.ecs, service.taskDefinition ?? '');
  const runningArn = running.taskDefinition?.taskDefinitionArn ?? '';
  const baseName = baseOf(running);
  const base = baseName === runningArn ? running : await describeDefinition(parts.ecs, baseName);
  const template = tagOf(running.tags, templateTag);
  const place = { family: running.taskDefinition?.family ?? '', ...(template !== undefined && { template }) };
  // Thrown before anything is written: a rollout that cannot be has never begun.
  await newDefinition(parts, { ref, rollout: { ...input, ...place }, base });
  const unfinished = await findUnfinished(parts, ref);
  const begun = {
    id: input.id,
    cluster: ref.target.cluster,
    service: ref.target.service ?? '',
    serviceArn: service.serviceArn ?? '',
    revision: input.revision,
    policy: input.policy,
    startedAt: parts.clock(),
    before: unfinished?.before ?? runningArn,
    base: base.taskDefinition?.taskDefinitionArn ?? '',
    ...place,
  };
  // The same revision on a newer template of the stack's is not the same.
  const isSameBase = tagOf(running.tags, baseTag) === String(base.taskDefinition?.revision);
  const runsAlready = tagOf(running.tags, revisionTag) === input.revision.id && isSameBase && !unfinished;
  const record: RolloutRecord = runsAlready
    ? { ...begun, phase: 'rolling', taskDefinition: runningArn }
    : { ...begun, phase: 'preparing' };
  const stored = await createRollout(parts.records, ref, record);
  if (stored && runsAlready) await announce(parts, ref, record);
  return stored;
}

function checkService(service: Service, ref: TargetRef, { policy, revision }: RolloutInput): void {
  const stuck = stuckIssue(service.desiredCount ?? 0, policy);
  if (stuck)
    throw new Problem('invalid', `rollout: expected ${stuck}`, { issues: [{ field: 'rollout', expected: stuck }] });
  const ports = (service.loadBalancers ?? [])
    .filter(({ containerName }) => containerName === containerNameOf(ref))
    .flatMap(({ containerPort }) => containerPort ?? []);
  if (ports.length > 0 && !ports.includes(revision.port)) {
    const expected = `${ports.join(' or ')}, where the load balancer of the service ${ref.target.service} asks`;
    throw new Problem('invalid', `runtime.port: expected ${expected}`, {
      issues: [{ field: 'runtime.port', expected }],
    });
  }
  if (service.taskDefinition === undefined) throw wrong('service', 'an ECS service that has a task definition');
}

/** A rollout that is not over and is taken over from: what ran before it is what ran before this one, too. */
async function findUnfinished(parts: StartingParts, ref: TargetRef): Promise<LiveRecord | undefined> {
  const { newest } = await readTarget(parts.records, ref);
  const record = newest && (await findRollout(parts.records, ref, newest.rolloutId))?.value;
  if (!record || record.phase === 'never' || record.phase === 'ended') return undefined;
  return record;
}

/** Makes the rollout the target's and the service's newest; false when a later one is that already. */
async function announce(parts: StartingParts, ref: TargetRef, record: RolloutRecord): Promise<boolean> {
  if (record.phase === 'never') return false;
  const { id: rolloutId, startedAt, serviceArn } = record;
  const { newest } = await changeTarget(parts.records, ref, (target) => {
    const isLater = target.newest !== undefined && target.newest.startedAt > startedAt;
    return isLater || target.newest?.rolloutId === rolloutId
      ? undefined
      : { ...target, newest: { rolloutId, startedAt } };
  });
  if (newest?.rolloutId !== rolloutId) return false;
  await rememberRolloutOfService(parts.records, serviceArn, rolloutId);
  return true;
}

/** Undefined when somebody else has gone on with it, or it was reverted meanwhile. */
async function register(
  parts: StartingParts,
  ref: TargetRef,
  { stored, isResumed }: { readonly stored: Stored<Starting>; readonly isResumed: boolean },
): Promise<Stored<RegisteredRecord> | undefined> {
  const { value: record } = stored;
  if (record.phase === 'registered') return stored as Stored<RegisteredRecord>;
  const lost = isResumed ? await findDefinition(parts.ecs, record.family, record.id) : undefined;
  const taskDefinition = lost ?? (await registerNew(parts, ref, record));
  await rememberRevision(parts.records, ref, { taskDefinition, revision: record.revision });
  return await replaceRollout<RegisteredRecord>(parts.records, stored, {
    ...record,
    phase: 'registered',
    taskDefinition,
  });
}

async function registerNew(parts: StartingParts, ref: TargetRef, rollout: PreparingRecord): Promise<string> {
  const base = await describeDefinition(parts.ecs, rollout.base);
  return await registerDefinition(parts.ecs, await newDefinition(parts, { ref, rollout, base }));
}

async function newDefinition(
  parts: StartingParts,
  from: {
    readonly ref: TargetRef;
    readonly rollout: Pick<PreparingRecord, 'id' | 'revision' | 'family' | 'template'>;
    readonly base: Described;
  },
): Promise<RegisterTaskDefinitionCommandInput> {
  const { ref, base } = from;
  const { id: rolloutId, revision, family, template } = from.rollout;
  const references = await Promise.all(
    Object.entries(revision.secrets).map(
      async ([variable, { name, version }]) => [variable, await parts.secretReference(name, version)] as const,
    ),
  );
  const secretReferences = Object.fromEntries(references);
  const { prefix, bucket } = parts;
  return registerInput({ base, family, template, ref, rolloutId, revision, secretReferences, prefix, bucket });
}

async function update(
  parts: StartingParts,
  ref: TargetRef,
  { stored, isResumed }: { readonly stored: Stored<RegisteredRecord>; readonly isResumed: boolean },
): Promise<void> {
  const { value: record } = stored;
  const { taskDefinition, startedAt: since } = record;
  // A service that was updated and has rolled back already must not be updated once more.
  const deployment = isResumed ? await findDeployment(parts.ecs, record, { taskDefinition, since }) : undefined;
  if (deployment === undefined) {
    const service = await getManagedService(parts, ref);
    const configuration = deploymentConfiguration(service.deploymentConfiguration, record.policy);
    const to = { taskDefinition, deploymentConfiguration: configuration };
    await updateService(parts.ecs, rollInput(record, to));
  }
  const rolling = { ...record, phase: 'rolling', ...(deployment !== undefined && { deployment }) } as const;
  if (await replaceRollout<RollingRecord>(parts.records, stored, rolling)) return;
  // Reverted while the update was on its way: it comes to nothing.
  const now = (await findRollout(parts.records, ref, record.id))?.value;
  const isReverted = now?.phase === 'reverting' || now?.phase === 'ended';
  if (isReverted) await updateService(parts.ecs, rollInput(record, { taskDefinition: record.before }));
}
