import * as v from 'valibot';
import type { Artifact } from '../artifacts/artifact.ts';
import { placeArtifact, rememberArtifact, rememberFit } from '../artifacts/store.ts';
import { artifactResultSchema, type ArtifactResult } from '../builds/spec.ts';
import { endBuild, getBuild, type Build } from '../builds/store.ts';
import type { Deployment } from '../deployments/deployment.ts';
import { changeDeployment, getDeployment, tell } from '../deployments/store.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { StepFailed } from '../runtime/errors.ts';
import { passBuildTurn } from './build-turns.ts';
import { describeBuilt } from './built.ts';
import { maxReasonCharacters, stillWanted, type DeploymentInput, type Step } from './step.ts';

type Input = DeploymentInput & { readonly buildId: string; readonly built: unknown };

/** Records how a build ended and gives its place back: an artifact, another attempt, or the failure of the deployment. */
export const recordBuild: Step<Input> = async (ports, { deploymentId, buildId, built }) => {
  const deployment = await getDeployment(ports.records, deploymentId);
  const build = await endAs(ports, await getBuild(ports.records, buildId), built);
  await passBuildTurn(ports, deployment.app, deploymentId);
  stillWanted(deployment);
  switch (build.state.status) {
    case 'succeeded':
      return { again: false };
    case 'interrupted':
    case 'open':
      await note(
        ports,
        deployment,
        `${build.state.status === 'open' ? 'The build was lost' : build.state.reason}; it is made again`,
      );
      return { again: true };
    case 'failed':
    case 'timed_out':
    case 'stopped':
      throw new StepFailed('BuildFailed', build.state.reason);
  }
};

async function endAs(ports: WorkflowPorts, build: Build, outcome: unknown): Promise<Build> {
  if (build.state.status !== 'open') return build;
  const ended = await endOpen(ports, build, outcome);
  const seconds = (ports.clock() - build.createdAt) / 1000;
  ports.metrics.buildEnded({ kind: build.kind, status: ended.state.status, seconds });
  return ended;
}

async function endOpen(ports: WorkflowPorts, build: Build, outcome: unknown): Promise<Build> {
  const built = describeBuilt(outcome, build.app);
  if (built.status === 'succeeded') return await endSucceeded(ports, build, parseResult(built.result));
  const { status, reason } = built;
  return await endBuild(ports.records, build.id, {
    status,
    endedAt: ports.clock(),
    reason: reason.slice(0, maxReasonCharacters),
  });
}

async function endSucceeded(ports: WorkflowPorts, build: Build, result: ArtifactResult | undefined): Promise<Build> {
  const endedAt = ports.clock();
  if (!result) {
    const reason = 'The build ended well, but exported no result';
    return await endBuild(ports.records, build.id, { status: 'failed', endedAt, reason });
  }
  const deployment = await getDeployment(ports.records, build.deploymentId);
  const artifact = await keepArtifact(ports, deployment, { build, result, at: endedAt });
  if (build.fingerprint) {
    await rememberFit(ports.records, { app: build.app, fingerprint: build.fingerprint, digest: artifact.digest });
  }
  const did = build.kind === 'import' ? 'Brought the' : 'Built';
  const text = `${did} ${artifact.kind} ${artifact.digest} (${artifact.sizeBytes} bytes)`;
  await changeDeployment(ports.records, deployment.id, (found) => {
    if (found.artifact) return undefined;
    const commit = result.commit ?? found.commit;
    const knowing = { ...found, artifact: artifact.digest, ...(commit ? { commit } : {}) };
    return tell(knowing, { at: endedAt, kind: 'build', text });
  });
  const { phases } = result;
  return await endBuild(ports.records, build.id, { status: 'succeeded', endedAt, artifact: artifact.digest, phases });
}

type Made = { readonly build: Build; readonly result: ArtifactResult; readonly at: number };

/** What was imported is an artifact already; now the fleet can find it. */
async function keepArtifact({ records }: WorkflowPorts, deployment: Deployment, made: Made): Promise<Artifact> {
  const { digest, reference } = made.result;
  if (made.build.kind === 'import') return await placeArtifact(records, { app: deployment.app, digest, reference });
  return await rememberArtifact(records, artifactOf(deployment, made));
}

function artifactOf(deployment: Deployment, made: Made): Artifact {
  const { build, result, at } = made;
  const { kind, digest, sizeBytes, reference, phases } = result;
  return {
    app: deployment.app,
    digest,
    kind,
    sizeBytes,
    reference,
    phases,
    createdAt: at,
    origin: originOf(deployment, build, result),
  };
}

function originOf({ request, settings }: Deployment, build: Build, result: ArtifactResult): Artifact['origin'] {
  const buildId = build.id;
  switch (request.kind) {
    case 'source': {
      if (!result.commit) throw new StepFailed('BuildFailed', 'The build did not say which commit it built');
      return {
        kind: 'build',
        buildId,
        repoUrl: settings.source?.repoUrl ?? '',
        ref: request.ref,
        commit: result.commit,
      };
    }
    case 'image':
      return { kind: 'registry', buildId, reference: request.reference };
    case 'fetch':
      return { kind: 'fetch', buildId, url: request.url };
    case 'artifact':
    case 'revision':
      throw new Error(`A deployment of ${request.kind} is never built`);
  }
}

async function note(ports: WorkflowPorts, deployment: Deployment, text: string): Promise<void> {
  await changeDeployment(ports.records, deployment.id, (found) =>
    tell(found, { at: ports.clock(), kind: 'build', text }),
  );
}

function parseResult(json: string | undefined): ArtifactResult | undefined {
  const parsed = v.safeParse(artifactResultSchema, parseJson(json ?? ''));
  return parsed.success ? parsed.output : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
