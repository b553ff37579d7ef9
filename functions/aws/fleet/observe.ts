import type { RolloutCounts, RolloutObservation, TargetRef } from '../../ports/fleet.ts';
import type { Stored } from '../../ports/records.ts';
import { Problem } from '../../runtime/errors.ts';
import { decide, type Decision } from './decide.ts';
import { findDeployment } from './find-deployment.ts';
import { countTasks, look, type Seen } from './look.ts';
import { askForUndoing, type RollingParts } from './undo.ts';
import {
  endRollout,
  findRollout,
  isTakenOver,
  noCounts,
  replaceRollout,
  type LiveRecord,
  type RevertingRecord,
  type RolloutEnd,
} from './rollout-record.ts';

type At = { readonly ref: TargetRef; readonly id: string };

/** How often a look may lead to another at once: to be undone, asked for, looked at. */
const maxLooks = 4;

/**
 * How a rollout stands. An ended one is answered from the records; a live one costs 7 calls with one target group
 * (`look`, and 2 more until its service deployment is found), however many targets others have. What is found out is
 * written down first, and what must be done about it is done here: a rollout nobody looks at does not time out.
 */
export async function observeRollout(parts: RollingParts, ref: TargetRef, id: string): Promise<RolloutObservation> {
  for (let looks = 0; looks < maxLooks; looks += 1) {
    const observation = await observeOnce(parts, { ref, id });
    if (observation) return observation;
  }
  throw new Problem('busy', `The rollout ${id} is being changed too often; try again`);
}

/** Undefined when what was seen has changed the rollout, or somebody else has: it is to be looked at again. */
async function observeOnce(parts: RollingParts, at: At): Promise<RolloutObservation | undefined> {
  const stored = await findRollout(parts.records, at.ref, at.id);
  if (!stored) throw new Problem('not-found', `The target ${at.ref.target.name} has no rollout ${at.id}`);
  const { value: record } = stored;
  if (record.phase === 'never') return marked({ status: 'reverted', reason: record.reason, counts: noCounts });
  if (record.phase === 'ended') return marked(record.end);
  const live = stored as Stored<LiveRecord>;
  if (await isTakenOver(parts.records, at.ref, record)) {
    return await end(parts, live, { status: 'revert_failed', reason: 'a later rollout took over', counts: noCounts });
  }
  if (record.phase === 'rolling' && record.deployment === undefined && record.taskDefinition !== record.before) {
    const deployment = await findDeployment(parts.ecs, record, {
      taskDefinition: record.taskDefinition,
      since: record.startedAt,
    });
    if (deployment !== undefined) {
      await replaceRollout(parts.records, stored, { ...record, deployment });
      return undefined;
    }
  }
  const seen = await look(parts, record, 'deployment' in record ? record.deployment : undefined);
  const decision = decide(record, seen, parts.clock());
  return await follow(parts, live, { seen, decision });
}

async function follow(
  parts: RollingParts,
  stored: Stored<LiveRecord>,
  { seen, decision }: { readonly seen: Seen; readonly decision: Decision },
): Promise<RolloutObservation | undefined> {
  const { value: record } = stored;
  const counts = countTasks(seen, record.phase === 'preparing' ? undefined : record.taskDefinition);
  switch (decision.kind) {
    case 'stay': {
      const reason = record.phase === 'reverting' ? record.undoing.reason : '';
      return marked({ status: decision.status, reason, counts });
    }
    case 'end': {
      const { status, reason } = decision;
      // What still drains in its target group then is not this service's (`decideSuccessful`).
      const last = status === 'succeeded' ? { ...counts, draining: 0 } : counts;
      return await end(parts, stored, { status, reason, counts: last });
    }
    case 'ask':
      return await ask(parts, stored as Stored<RevertingRecord>, counts);
    case 'undo': {
      const { by, reason, isAsked } = decision;
      const now = parts.clock();
      const since = record.phase === 'reverting' ? record.undoing.since : now;
      const undoing = { by, reason, since, ...(isAsked && { askedAt: now }) };
      if (record.phase === 'preparing') return await end(parts, stored, { status: 'reverted', reason, counts });
      await replaceRollout(parts.records, stored, { ...record, phase: 'reverting', undoing });
      return undefined;
    }
    default:
      return decision satisfies never;
  }
}

async function ask(
  parts: RollingParts,
  stored: Stored<RevertingRecord>,
  counts: RolloutCounts,
): Promise<RolloutObservation | undefined> {
  const refusal = await askForUndoing(parts, stored);
  if (refusal === undefined) return undefined;
  const { reason } = stored.value.undoing;
  return await end(parts, stored, { status: 'revert_failed', reason: `${reason}; ${refusal}`, counts });
}

/** Ends the rollout in the records; undefined when somebody else wrote meanwhile. */
async function end(
  parts: RollingParts,
  stored: Stored<LiveRecord>,
  how: RolloutEnd,
): Promise<RolloutObservation | undefined> {
  return (await endRollout(parts.records, stored, how)) && marked(how);
}

function marked({ status, reason, counts }: Omit<RolloutObservation, 'marker'>): RolloutObservation {
  return { status, reason, counts, marker: JSON.stringify([status, reason, ...Object.values(counts)]) };
}
