import { getApp, type AppRecord } from '../apps/registry.ts';
import type { Environment } from '../apps/schema.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import type { Deployment, DeploymentRequest, TargetProgress, Trigger } from './deployment.ts';
import { createDeployment, getDeployment, tell } from './store.ts';
import { resume, takeTurn, type TurnPorts } from './turn.ts';

export type RequestInput = {
  readonly app: string;
  readonly environment: string;
  readonly request: DeploymentRequest;
  readonly trigger: Trigger;
  /** Left out: a new one. The same one again is the same deployment. */
  readonly id?: string;
};

/**
 * Makes a deployment and brings it into its lane; durable when it resolves.
 * Throws `Problem('not-found')` for an unknown app or environment, `Problem('invalid')` for what the app cannot do.
 */
export async function requestDeployment(
  ports: TurnPorts & Pick<ApiPorts, 'newId'>,
  input: RequestInput,
): Promise<Deployment> {
  const record = await getApp(ports.records, input.app);
  const environment = environmentOf(record, input.environment);
  refuseImpossible(record, environment, input.request);
  const made = newDeployment({ ...input, record, id: input.id ?? ports.newId(), at: ports.clock() });
  if (await createDeployment(ports.records, made)) await takeTurn(ports, made);
  else await resume(ports, await getDeployment(ports.records, made.id));
  return await getDeployment(ports.records, made.id);
}

/** Throws `Problem('not-found')` naming the environments there are. */
export function environmentOf(record: AppRecord, name: string): Environment {
  const found = record.app.environments.find((environment) => environment.name === name);
  if (found) return found;
  const names = record.app.environments.map((environment) => environment.name).join(', ');
  throw new Problem('not-found', `The app ${record.id} has no environment ${name}; it has: ${names}`);
}

/** A deployment as it begins; pure. */
export function newDeployment(
  input: RequestInput & { readonly record: AppRecord; readonly id: string; readonly at: number },
): Deployment {
  const environment = environmentOf(input.record, input.environment);
  const commit = input.request.kind === 'source' ? input.request.commit : undefined;
  const deployment: Deployment = {
    id: input.id,
    app: input.app,
    environment: input.environment,
    createdAt: input.at,
    trigger: input.trigger,
    request: input.request,
    // Of the environments only its own: a deployment must fit a record however many the app has.
    settings: { ...input.record.app, environments: [environment] },
    state: { status: 'queued' },
    ...(commit ? { commit } : {}),
    targets: environment.targets.map((target) => waitingTarget(input.id, target)),
    timeline: [],
    settled: false,
  };
  return tell(deployment, { at: input.at, kind: 'queued', text: describeTrigger(input) });
}

/** One rollout a deployment and target: its id is the same however often the workflow runs. */
export function waitingTarget(deploymentId: string, target: { name: string; wave: number }): TargetProgress {
  const { name, wave } = target;
  return { name, wave, rolloutId: `${deploymentId}.${name}`, status: 'waiting', reason: '' };
}

function refuseImpossible(record: AppRecord, environment: Environment, request: DeploymentRequest): void {
  if (request.kind === 'source' && !(record.app.source && record.app.build)) {
    throw new Problem(
      'invalid',
      `The app ${record.id} has no source and build: deploy an image, an artifact or a URL`,
      {
        issues: [{ field: 'source', expected: 'an app with "source" and "build"' }],
      },
    );
  }
  const makesArtifact = request.kind === 'source' || request.kind === 'image' || request.kind === 'fetch';
  if (environment.parent && makesArtifact) {
    throw new Problem(
      'conflict',
      `The environment ${environment.name} takes no builds, as it has the parent ${environment.parent}: give an artifact`,
    );
  }
}

function describeTrigger({ trigger, request }: RequestInput): string {
  switch (trigger.kind) {
    case 'push':
      return `${trigger.pusher} pushed ${trigger.ref}`;
    case 'rollback':
      return `${trigger.actor} asked to roll back${request.kind === 'revision' ? ` to ${request.deploymentId}` : ''}`;
    case 'api':
      return `${trigger.actor} asked to deploy ${describeRequest(request)}`;
    case 'publish':
      return `${trigger.actor} published ${trigger.build === undefined ? 'again' : `the build ${trigger.build}`}`;
    case 'promotion':
      return `${trigger.actor} promoted what ${trigger.from} has run`;
  }
}

function describeRequest(request: DeploymentRequest): string {
  switch (request.kind) {
    case 'source':
      return request.commit ?? request.ref;
    case 'image':
      return `the image ${request.reference}`;
    case 'artifact':
      return `the artifact ${request.digest}`;
    case 'fetch':
      return `the artifact sha256:${request.sha256} from a URL`;
    case 'revision':
      return `the revision of ${request.deploymentId}`;
  }
}
