import { getApp } from '../apps/registry.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { cancelOpen } from './cancel.ts';
import type { Deployment } from './deployment.ts';
import { deploymentLane, readLane } from './lane-store.ts';
import { listReleases, rollbackGoal } from './releases.ts';
import { environmentOf, requestDeployment } from './request.ts';

export type RollbackInput = {
  readonly app: string;
  readonly environment: string;
  readonly actor: string;
  /** A deployment that succeeded here; left out: the one before the current one. */
  readonly to?: string;
};

/**
 * Makes a deployment of the last good revision: artifact, environment variables and secret versions together, without
 * a build. What is being deployed or waits there is cancelled first: whoever rolls back wants to stop it.
 * Throws `Problem('conflict')` when there is nothing to go back to.
 */
export async function rollbackEnvironment(ports: ApiPorts, input: RollbackInput): Promise<Deployment> {
  const { app, environment, actor } = input;
  environmentOf(await getApp(ports.records, app), environment);
  const lane = await readLane(ports.records, deploymentLane(app, environment));
  const releases = await listReleases(ports.records, app, environment);
  const goal = input.to
    ? releases.find(({ deploymentId }) => deploymentId === input.to)
    : rollbackGoal(releases, lane.active?.holder);
  if (!goal) throw nothingToRestore(input);
  const inTheWay = [...lane.queue, ...(lane.active ? [lane.active] : [])];
  await cancelOpen(ports, { ids: inTheWay.map(({ holder }) => holder), actor });
  return await requestDeployment(ports, {
    app,
    environment,
    request: { kind: 'revision', deploymentId: goal.restores ?? goal.deploymentId },
    trigger: { kind: 'rollback', actor },
  });
}

function nothingToRestore({ app, environment, to }: RollbackInput): Problem {
  return to
    ? new Problem('conflict', `The deployment ${to} is not among those that succeeded in ${environment} of ${app}`)
    : new Problem('conflict', `Nothing to roll back to: ${environment} of ${app} has run no other revision`);
}
