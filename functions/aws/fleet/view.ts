import type { Task } from '@aws-sdk/client-ecs';
import type { Revision, TargetRef, TargetView, TaskView } from '../../ports/fleet.ts';
import type { Records } from '../../ports/records.ts';
import { nameOf } from './decide.ts';
import { countFailures } from './failures.ts';
import { look, type LookFrom, type Seen } from './look.ts';
import { changeTarget, findRevision, findRollout, readTarget } from './rollout-record.ts';
import { managedIssue, serviceNameOf } from './service.ts';
import { taskId, taskState } from './task-state.ts';

export type ViewingParts = LookFrom & { readonly records: Records; readonly prefix: string };

const nothing: TargetView = { revision: undefined, desiredCount: 0, tasks: [], failures: 0, lastFailure: undefined };

/**
 * What runs on a target; nothing where there is no service, or one that is not ours to touch. Four calls, and one for
 * each target group. `failures` counts on from view to view: one that nobody views for an hour may miss some.
 */
export async function viewTarget(parts: ViewingParts, ref: TargetRef): Promise<TargetView> {
  const name = serviceNameOf(ref);
  if (!name) return nothing;
  const seen = await look(parts, name, undefined);
  const { service, tasks } = seen;
  if (!service || managedIssue(service, { ...ref, prefix: parts.prefix }) !== undefined) return nothing;
  const [running, views, { failures }] = await Promise.all([
    runningDefinition(parts, ref, service.taskDefinition ?? ''),
    viewTasks(parts, ref, seen),
    changeTarget(parts.records, ref, (target) => {
      const failures = countFailures(target.failures, tasks);
      return failures === target.failures ? undefined : { ...target, ...(failures && { failures }) };
    }),
  ]);
  return {
    revision: await findRevision(parts.records, ref, running),
    desiredCount: service.desiredCount ?? 0,
    tasks: views,
    failures: failures?.count ?? 0,
    lastFailure: failures?.last,
  };
}

/** While a rollout is on its way the target counts as running what ran before it. */
async function runningDefinition({ records }: ViewingParts, ref: TargetRef, taskDefinition: string): Promise<string> {
  const { newest } = await readTarget(records, ref);
  const record = newest && (await findRollout(records, ref, newest.rolloutId))?.value;
  return !record || record.phase === 'never' || record.phase === 'ended' ? taskDefinition : record.before;
}

async function viewTasks({ records }: ViewingParts, ref: TargetRef, seen: Seen): Promise<readonly TaskView[]> {
  const live = seen.tasks.filter((task) => taskState(task, seen.health) !== undefined);
  const definitions = [...new Set(live.flatMap(({ taskDefinitionArn }) => taskDefinitionArn ?? []))];
  const revisions = new Map(
    await Promise.all(definitions.map(async (arn) => [arn, await findRevision(records, ref, arn)] as const)),
  );
  return live.map((task) => viewOf(task, seen, revisions.get(task.taskDefinitionArn ?? '')));
}

function viewOf(task: Task, { health }: Seen, revision: Revision | undefined): TaskView {
  return {
    id: taskId(task),
    revisionId: revision?.id ?? nameOf(task.taskDefinitionArn),
    state: taskState(task, health) ?? 'stopping',
    startedAt: (task.startedAt ?? task.createdAt ?? new Date(0)).getTime(),
  };
}
