import type { Artifact } from '../artifacts/artifact.ts';
import { findFit, getArtifact } from '../artifacts/store.ts';
import { fingerprintOf, planBuild, type BuildWish } from '../builds/plan.ts';
import { createBuild, findBuild } from '../builds/store.ts';
import type { Deployment } from '../deployments/deployment.ts';
import { advance, changeDeployment, getDeployment, tell } from '../deployments/store.ts';
import type { BuildRequest } from '../ports/builder.ts';
import type { Policy, WorkflowPorts } from '../ports/ports.ts';
import { Problem, StepFailed } from '../runtime/errors.ts';
import { passBuildTurn } from './build-turns.ts';
import { getWanted, stillWanted, type DeploymentInput, type Step } from './step.ts';

const maxAttempts = 5;

/** Finds an artifact that fits already, or says what to build. */
export const resolve: Step<DeploymentInput> = async (ports, { deploymentId }) => {
  const deployment = await getWanted(ports, deploymentId);
  if (deployment.artifact) return await withoutBuild(ports, deployment);
  const artifact = await findUsable(ports, deployment);
  if (artifact) {
    await useArtifact(ports, deployment, artifact);
    return await withoutBuild(ports, deployment);
  }
  return { needsBuild: true, build: await openBuild(ports, deployment) };
};

/** An earlier run of the workflow may have been lost in its build's place, which nobody else would give back. */
async function withoutBuild(ports: WorkflowPorts, { app, id }: Deployment) {
  await passBuildTurn(ports, app, id);
  return { needsBuild: false, build: null };
}

async function findUsable(ports: WorkflowPorts, deployment: Deployment): Promise<Artifact | undefined> {
  const { request, app } = deployment;
  switch (request.kind) {
    case 'artifact':
      return await findPlaced(ports, await getArtifact(ports.records, app, request.digest));
    case 'revision':
      return await findPlaced(ports, (await revisionOf(ports, request.deploymentId)).artifact);
    case 'source':
      return await findFitting(ports, deployment, request.commit);
    case 'image':
    case 'fetch':
      // What a reference names may have changed, and a URL is checked by its digest when it is read: both are asked anew.
      return undefined;
  }
}

/**
 * An image that was uploaded lies among the objects: where the fleet has not got it, or no more, it is brought there first.
 */
async function findPlaced(ports: WorkflowPorts, artifact: Artifact): Promise<Artifact | undefined> {
  if (artifact.kind === 'ostree') {
    throw new StepFailed('ArtifactUnusable', 'An OSTree artifact is published and fetched; nothing here runs it');
  }
  if (artifact.origin.kind !== 'upload' || artifact.kind !== 'image') return artifact;
  if (artifact.reference === '') return undefined;
  return (await ports.fleet.refuses(artifact)) === undefined ? artifact : undefined;
}

/** Throws `Problem('not-found')` for a deployment that never had one. */
export async function revisionOf(ports: Pick<WorkflowPorts, 'records'>, deploymentId: string) {
  const { revision } = await getDeployment(ports.records, deploymentId);
  if (revision) return revision;
  throw new Problem('not-found', `The deployment ${deploymentId} has no revision to restore`);
}

async function findFitting(
  ports: WorkflowPorts,
  deployment: Deployment,
  commit: string | undefined,
): Promise<Artifact | undefined> {
  const fingerprint = fingerprintOf(deployment.settings, commit);
  const artifact = fingerprint && (await findFit(ports.records, deployment.app, fingerprint));
  // One that was pruned since, or that this fleet cannot run, is built again.
  return artifact && (await ports.fleet.refuses(artifact)) === undefined ? artifact : undefined;
}

async function useArtifact(ports: WorkflowPorts, deployment: Deployment, artifact: Artifact): Promise<void> {
  const text = `Uses the artifact ${artifact.digest}, no build needed`;
  await changeDeployment(ports.records, deployment.id, (found) =>
    found.artifact
      ? undefined
      : tell(
          {
            ...found,
            artifact: artifact.digest,
            // Another commit may have made the same artifact first.
            ...(!found.commit && artifact.origin.kind === 'build' ? { commit: artifact.origin.commit } : {}),
          },
          { at: ports.clock(), kind: 'build', text },
        ),
  );
}

/** The build that goes on for this deployment, or a new one: the same again unless that one lost its machine. */
async function openBuild(ports: WorkflowPorts, deployment: Deployment) {
  const buildId = await nextBuildId(ports, deployment);
  const wish: BuildWish = {
    app: deployment.app,
    settings: deployment.settings,
    deploymentId: deployment.id,
    buildId,
    request: await wishedRequest(ports, deployment),
    fetchPolicy: ports.policy.fetch,
  };
  const { kind, spec } = planBuild(wish);
  const json = specJson(spec, ports.policy);
  const fingerprint = fingerprintOf(deployment.settings, deployment.commit);
  await createBuild(ports.records, {
    id: buildId,
    app: deployment.app,
    deploymentId: deployment.id,
    kind,
    createdAt: ports.clock(),
    ...(fingerprint ? { fingerprint } : {}),
    state: { status: 'open' },
  });
  const building = await advance(ports.records, {
    id: deployment.id,
    at: ports.clock(),
    event: { kind: 'build' },
    text: kind === 'import' ? `Brings the image to where it runs, as ${buildId}` : `Builds as ${buildId}`,
    with: () => ({ buildId }),
  });
  stillWanted(building);
  if (building.buildId !== buildId) await changeDeployment(ports.records, deployment.id, (d) => ({ ...d, buildId }));
  // The timeout for the service is in whole minutes; the agent keeps the exact one.
  return {
    id: buildId,
    app: deployment.app,
    kind,
    spec: json,
    timeoutMinutes: Math.max(5, Math.ceil(spec.timeoutSeconds / 60)),
  };
}

/** Nothing is written down yet when a spec turns out to be longer than a build here can be told. */
export function specJson(spec: BuildRequest['spec'], { builds }: Policy): string {
  const json = JSON.stringify(spec);
  const [bytes, most] = [Buffer.byteLength(json), builds?.mostSpecBytes ?? Infinity];
  if (bytes <= most) return json;
  const how = 'shorten the build arguments, the command or the URL';
  throw new StepFailed('BuildFailed', `The build would be told ${bytes} bytes, and takes ${most}: ${how}`);
}

async function nextBuildId(ports: WorkflowPorts, deployment: Deployment): Promise<string> {
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const id = attempt === 1 ? deployment.id : `${deployment.id}-${attempt}`;
    const build = await findBuild(ports.records, id);
    if (build?.state.status !== 'interrupted') return id;
  }
  throw new StepFailed('BuildFailed', `The build lost its machine ${maxAttempts} times`);
}

async function wishedRequest(ports: WorkflowPorts, deployment: Deployment): Promise<BuildWish['request']> {
  const { request, app } = deployment;
  switch (request.kind) {
    case 'source':
    case 'image':
    case 'fetch':
      return request;
    case 'artifact':
      return importOf(await getArtifact(ports.records, app, request.digest));
    case 'revision':
      return importOf((await revisionOf(ports, request.deploymentId)).artifact);
  }
}

function importOf({ digest, manifest }: Artifact): BuildWish['request'] {
  if (!manifest) throw new Error(`The artifact ${digest} was not uploaded, so it cannot be brought anywhere`);
  return { kind: 'import', artifact: digest, manifest };
}
