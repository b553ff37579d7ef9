import type { Job } from '../builds/job.ts';
import { resumeJob } from '../builds/job-turn.ts';
import { planOnward } from '../builds/promote.ts';
import type { Deployment } from '../deployments/deployment.ts';
import { isEnd, type End } from '../deployments/state.ts';
import { getDeployment } from '../deployments/store.ts';
import { endDeployment, settle } from '../deployments/turn.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { stillWanted, type DeploymentInput, type Step } from './step.ts';

/** Gives the deployment its true end and frees its lane. */
export const finish: Step<DeploymentInput> = async (ports, { deploymentId }) => {
  const deployment = await getDeployment(ports.records, deploymentId);
  const promotions = await planPromotions(ports, deployment);
  const ended = isEnd(deployment.state) ? deployment : await end(ports, deployment);
  for (const job of promotions) await resumeJob(ports, job);
  await settle(ports, ended);
  ports.log.info('deployment ended', {
    deploymentId,
    app: ended.app,
    environment: ended.environment,
    status: ended.state.status,
  });
  return { status: ended.state.status };
};

/**
 * What has succeeded goes on by itself where an environment says so; who went back did not mean to. Planned before the end
 * is written: whoever is killed right after it leaves nothing out.
 */
async function planPromotions(ports: WorkflowPorts, deployment: Deployment): Promise<readonly Job[]> {
  const { id, app, environment, state, request, artifact } = deployment;
  const isGood = state.status === 'verifying' || state.status === 'succeeded';
  if (!isGood || request.kind === 'revision' || artifact === undefined) return [];
  const actor = `promotion of ${environment}`;
  try {
    return await planOnward(ports, { app, environment, artifact, cause: id, actor, after: id });
  } catch (error) {
    if (!(error instanceof Problem) || error.kind === 'busy') throw error;
    ports.log.error('not promoted', { deploymentId: id, error: error.message });
    return [];
  }
}

/** One that was cancelled after the last look is undone: who was told that it is cancelled was told the truth. */
async function end(ports: WorkflowPorts, deployment: Deployment): Promise<Deployment> {
  const ending = endOf(deployment);
  return await endDeployment(ports, deployment.id, {
    ...ending,
    ...(ending.status === 'succeeded' ? { refuse: stillWanted } : {}),
  });
}

/** The truth of what happened, from what the deployment knows; pure. */
export function endOf({ state, targets, cancel }: Deployment): Omit<End, 'endedAt'> {
  if (state.status === 'verifying')
    return { status: 'succeeded', reason: 'Every target runs the new revision; the old tasks are drained' };
  if (state.status !== 'rolling_back') throw new Error(`A deployment that is ${state.status} cannot be finished`);
  const stuck = targets.filter(({ status }) => status === 'revert_failed');
  if (stuck.length > 0) {
    const where = stuck.map(({ name, reason }) => `${name} (${reason})`).join(', ');
    return { status: 'failed', reason: `${state.reason}; the old revision could not be put back on ${where}` };
  }
  if (state.cause === 'cancel')
    return { status: 'cancelled', reason: `Cancelled by ${cancel?.by ?? 'a person'}; what was changed is undone` };
  const wasTouched = targets.some(({ status }) => status !== 'waiting');
  return wasTouched
    ? { status: 'rolled_back', reason: state.reason }
    : { status: 'failed', reason: `${state.reason}; nothing that runs was changed` };
}
