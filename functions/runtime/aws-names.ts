import type { BuildKind } from '../ports/builder.ts';
import type { Digest } from './units.ts';

/**
 * What things are called on AWS, in one place: the adapters ask by these names, and the stack makes them and grants
 * access by them. `prefix` names one installation: `sluice`, `sluice-test`; 1 to 16 lower-case letters, digits and
 * inner dashes, a letter first.
 */
export const prefixPattern = /^[a-z](?:[a-z0-9-]{0,14}[a-z0-9])?$/;

/** The build project of a kind; `deploy.asl.json` puts the same together from `${BuildProjectPrefix}` and the kind. */
export function buildProjectPrefix(prefix: string): string {
  return `${prefix}-build`;
}
/** Each has a project of its own. */
export const buildKinds = [
  'image',
  'bundle',
  'fetch',
  'registry',
  'import',
  'check',
] as const satisfies readonly BuildKind[];

export function buildProjectName(prefix: string, kind: BuildKind): string {
  return `${buildProjectPrefix(prefix)}-${kind}`;
}
/** Where a kind's builds write their log. */
export function buildLogGroup(prefix: string, kind: BuildKind): string {
  return `/${prefix}/build/${kind}`;
}

/**
 * Every build runs as its app's own role, which the app's stack makes (`DeployableApp`): it may read that app's source
 * credential and push to that app's repository, and nothing of any other app. At most 64 characters: 16 + 7 + 40.
 */
export const buildRoleName = (prefix: string, app: string): string => `${prefix}-build-${app}`;
/** IAM paths of the roles that the control plane may pass on: to CodeBuild, and to the tasks of services it deploys. */
export const buildRolePath = (prefix: string): string => `/${prefix}/build/`;
export const taskRolePath = (prefix: string): string => `/${prefix}/task/`;
/**
 * The managed policy, made by the control plane's stack, that every app's build role has attached: the build agent to
 * be read, the log to be written, a network where builds have one. An upgrade changes it for all apps at once.
 */
export const buildPolicyName = (prefix: string): string => `${prefix}-build`;

export const stateMachineName = (prefix: string): string => `${prefix}-deploy`;
/** The state machine of jobs: commits, publications, checks, hooks and pruning. */
export const jobMachineName = (prefix: string): string => `${prefix}-jobs`;
/** What an app's stack must know of the installation, as SSM parameters: `/sluice/bucket-name`. */
export const parameterName = (prefix: string, name: 'bucket-name'): string => `/${prefix}/${name}`;

/** A secret's name in Secrets Manager; `name` is its name in the Secrets port: `apps/web/secret/database-url`. */
export function secretName(prefix: string, name: string): string {
  return `${prefix}/${name}`;
}
/** The control plane's own secrets, by their names in the Secrets port. */
export const adminTokenSecret = 'control/admin-token';
export const webhookSecretSecret = 'control/webhook-secret';

/** The registry repository of an app's images. */
export function imageRepository(prefix: string, app: string): string {
  return `${prefix}/${app}`;
}

/** The bucket's key of a blob. */
export function blobKey(digest: Digest): string {
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}
export const blobPrefix = 'blobs/sha256/';
/** Where uploads in parts stand until they are whole and verified; a lifecycle rule clears it. */
export const uploadPrefix = 'uploads/';
/** The ssh host keys that an app's builds accepted once: its build role may read and write this one object. */
export const knownHostsKey = (app: string): string => `known-hosts/${app}`;
/** The build agent, which every build project has as its S3 source: a zip with `agent.mjs`. */
export const agentFileName = 'agent.mjs';

/**
 * A service that the control plane may touch carries `sluice:managed` = the installation's prefix; its task
 * definitions, too. `sluice:app` and `sluice:environment` say whose it is.
 */
export const managedTag = 'sluice:managed';
export const appTag = 'sluice:app';
export const environmentTag = 'sluice:environment';
/** On a task definition that the control plane registered: which revision it is. */
export const revisionTag = 'sluice:revision';
/** And by which rollout it was made, so that one whose answer was lost is found again. */
export const rolloutTag = 'sluice:rollout';
/** And of which revision, which the app's stack made in its family or its template's, it is a copy with our fields changed: `17`. */
export const baseTag = 'sluice:base';

/**
 * On task definitions of a stack that keeps two families: the family whose newest active revision says how tasks are to
 * be (size, roles, volumes, other containers), and which no service runs. A new revision is a copy of that one with our
 * fields changed, registered in the family that the service runs; there, nobody but the control plane registers after
 * the first, so no update of the stack puts an older image back. Copies keep this tag. Without it, see `baseTag`.
 */
export const templateTag = 'sluice:template';

/**
 * Bundles on ECS: the task has an init container of this name, whose image has the AWS CLI and Python, and which runs
 * `bundleInitCommand`: it fetches `s3://$SLUICE_BUNDLE_BUCKET/$SLUICE_BUNDLE_KEY` with the task's own role, checks it
 * against `$SLUICE_BUNDLE_SHA256`, unpacks it into the volume of the same name and ends; the app's container starts when
 * it has succeeded, with the volume at `bundleFolder`, which is its working directory.
 */
export const bundleContainer = 'sluice-bundle';
export const bundleVolume = 'sluice-bundle';
export const bundleFolder = '/bundle';
export const bundleVariables = {
  bucket: 'SLUICE_BUNDLE_BUCKET',
  key: 'SLUICE_BUNDLE_KEY',
  sha256: 'SLUICE_BUNDLE_SHA256',
} as const;
