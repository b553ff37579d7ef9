import { getArtifact } from '../artifacts/store.ts';
import type { Deployment, TargetProgress } from '../deployments/deployment.ts';
import { advance, changeDeployment } from '../deployments/store.ts';
import { deploymentEnvironment } from '../deployments/target-refs.ts';
import type { Revision } from '../ports/fleet.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { makeRevision } from '../rollout/revision.ts';
import { StepFailed } from '../runtime/errors.ts';
import { revisionOf } from './resolve.ts';
import { getWanted, stillWanted, type DeploymentInput, type Step } from './step.ts';

/** Makes the revision, pinned once and for all, and orders the targets in waves. */
export const plan: Step<DeploymentInput> = async (ports, { deploymentId }) => {
  const deployment = await getWanted(ports, deploymentId);
  const revision = deployment.revision ?? (await makeOrRestore(ports, deployment));
  const refusal = await ports.fleet.refuses(revision.artifact);
  if (refusal) throw new StepFailed('ArtifactUnusable', refusal);
  const planned = await changeDeployment(ports.records, deploymentId, (found) =>
    found.revision ? undefined : { ...found, revision },
  );
  const rolling = await advance(ports.records, {
    id: deploymentId,
    at: ports.clock(),
    event: { kind: 'roll' },
    text: `Rolls out ${revision.id} to ${planned.targets.map(({ name }) => name).join(', ')}`,
  });
  stillWanted(rolling);
  return { waves: wavesOf(deploymentId, planned.targets) };
};

/** Waves in ascending order, each with the targets that roll in parallel; pure. */
export function wavesOf(deploymentId: string, targets: readonly TargetProgress[]) {
  const numbers = [...new Set(targets.map(({ wave }) => wave))].sort((a, b) => a - b);
  return numbers.map((wave) => ({
    wave,
    targets: targets.filter((target) => target.wave === wave).map(({ name }) => ({ deploymentId, target: name })),
  }));
}

/** As it was, with the artifact where it lies now: an image that was uploaded may have been brought there anew. */
async function restore(ports: WorkflowPorts, deploymentId: string): Promise<Revision> {
  const revision = await revisionOf(ports, deploymentId);
  const { app, digest, origin } = revision.artifact;
  if (origin.kind !== 'upload') return revision;
  return { ...revision, artifact: await getArtifact(ports.records, app, digest) };
}

async function makeOrRestore(ports: WorkflowPorts, deployment: Deployment): Promise<Revision> {
  if (deployment.request.kind === 'revision') return await restore(ports, deployment.request.deploymentId);
  if (!deployment.artifact) throw new Error(`The deployment ${deployment.id} came to its plan without an artifact`);
  return await makeRevision(ports.secrets, {
    app: deployment.app,
    settings: deployment.settings,
    environment: deploymentEnvironment(deployment),
    artifact: await getArtifact(ports.records, deployment.app, deployment.artifact),
    deploymentId: deployment.id,
  });
}
