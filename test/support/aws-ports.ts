import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import type { CodeBuildClient } from '@aws-sdk/client-codebuild';
import type { ECRClient } from '@aws-sdk/client-ecr';
import type { ECSClient } from '@aws-sdk/client-ecs';
import type { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SFNClient } from '@aws-sdk/client-sfn';
import { v7 } from 'uuid';
import { readBuildLogs } from '../../functions/aws/build-logs.ts';
import { readyToBuild } from '../../functions/aws/build-start.ts';
import { stopBuilds } from '../../functions/aws/build-stop.ts';
import { executions, readyToRun, startExecutions } from '../../functions/aws/executions.ts';
import { apiFleet } from '../../functions/aws/fleet/api-fleet.ts';
import { retireTarget } from '../../functions/aws/fleet/retire.ts';
import { viewTarget } from '../../functions/aws/fleet/view.ts';
import { workflowFleet } from '../../functions/aws/fleet/workflow-fleet.ts';
import { finishUploads } from '../../functions/aws/object-finish.ts';
import { listObjects } from '../../functions/aws/object-list.ts';
import { receiveObjects } from '../../functions/aws/object-receive.ts';
import { signedGet } from '../../functions/aws/object-urls.ts';
import { abandonUploads, openUploads } from '../../functions/aws/object-uploads.ts';
import { objectsReady, readObjects, removeObjects, writeObjects } from '../../functions/aws/objects.ts';
import { rotatingSecret } from '../../functions/aws/rotating-secret.ts';
import { secretCache } from '../../functions/aws/secret-cache.ts';
import { removeSecrets, writeSecrets } from '../../functions/aws/secret-writes.ts';
import { describeSecrets, listSecrets, readSecrets, secretReferences } from '../../functions/aws/secrets.ts';
import { answerTokens, resumeTokens } from '../../functions/aws/task-tokens.ts';
import { policy } from '../../functions/lambda/wire.ts';
import type { ApiPorts, EventPorts, ReconcilePorts, WorkflowPorts } from '../../functions/ports/ports.ts';
import { adminTokenSecret, webhookSecretSecret } from '../../functions/runtime/aws-names.ts';
import { sender } from '../../functions/runtime/send.ts';

export type AwsPlace = Pick<ApiPorts, 'records' | 'clock' | 'log' | 'metrics'> & {
  readonly prefix: string;
  readonly bucket: string;
  readonly stateMachineArn: string;
  readonly jobMachineArn: string;
  readonly sfn: SFNClient;
  readonly secretsManager: SecretsManagerClient;
  readonly codeBuild: CodeBuildClient;
  readonly buildLogs: CloudWatchLogsClient;
  readonly ecr: ECRClient;
  readonly ecs: ECSClient;
  readonly loadBalancing: ElasticLoadBalancingV2Client;
  readonly taskLogs: CloudWatchLogsClient;
  readonly s3: S3Client;
  /** Where hooks go; default: nowhere but the public internet. */
  readonly send?: WorkflowPorts['send'];
};

/** The ports of the four functions with the clients of a test, as `functions/lambda/*-ports.ts` has them with AWS's. */
export function awsPorts(place: AwsPlace) {
  const { records, clock, log, metrics, prefix, bucket, stateMachineArn } = place;
  const base = { records, clock, log, metrics };
  const stateMachine = { client: place.sfn, stateMachineArn };
  const jobs = startExecutions({ client: place.sfn, stateMachineArn: place.jobMachineArn, inputName: 'jobId' });
  // Its URLs are called for real, so they are good by the machine's clock.
  const objectsPlace = { client: place.s3, bucket, clock: Date.now };
  const secretsPlace = { client: place.secretsManager, prefix };
  const caching = { ...secretsPlace, cache: secretCache(clock), sleep: async () => {} };
  const buildPlace = { client: place.codeBuild, logs: place.buildLogs, records, prefix, clock, pauseMs: 1 };
  const fleetPlace = {
    ecs: place.ecs,
    loadBalancing: place.loadBalancing,
    logs: place.taskLogs,
    registry: async () => place.ecr,
    records,
    prefix,
    bucket,
    clock,
  };
  const apiPorts: ApiPorts = {
    ...base,
    newId: v7,
    policy,
    workflow: { ...startExecutions(stateMachine), ...answerTokens(place.sfn), ...readyToRun(stateMachine) },
    jobs,
    objects: {
      ...readObjects(objectsPlace),
      ...writeObjects(objectsPlace),
      ...receiveObjects(objectsPlace),
      ...openUploads(objectsPlace),
      ...abandonUploads(objectsPlace),
      ...objectsReady(objectsPlace),
      downloadUrl: async (digest, seconds) => await signedGet(objectsPlace, digest, seconds),
    },
    secrets: { ...writeSecrets(caching), ...removeSecrets(caching), ...listSecrets(secretsPlace) },
    builder: { ...stopBuilds(buildPlace), ...readBuildLogs(buildPlace), ...readyToBuild(buildPlace) },
    fleet: apiFleet(fleetPlace),
  };
  const workflowPorts: WorkflowPorts = {
    ...base,
    newId: v7,
    policy,
    workflow: { ...startExecutions(stateMachine), ...answerTokens(place.sfn) },
    jobs,
    objects: {
      ...readObjects(objectsPlace),
      ...writeObjects(objectsPlace),
      ...finishUploads(objectsPlace),
      ...abandonUploads(objectsPlace),
      ...listObjects(objectsPlace),
      ...removeObjects(objectsPlace),
    },
    secrets: { ...describeSecrets(secretsPlace), ...readSecrets(caching) },
    send: place.send ?? sender(policy.fetch),
    builder: stopBuilds(buildPlace),
    fleet: workflowFleet({ ...fleetPlace, secretReference: secretReferences(secretsPlace) }),
  };
  const eventPorts: EventPorts = {
    ...base,
    workflow: { ...startExecutions(stateMachine), ...resumeTokens(place.sfn) },
  };
  const reconcilePorts: ReconcilePorts = {
    ...base,
    workflow: { ...executions({ ...stateMachine, pauseMs: 1 }), ...answerTokens(place.sfn) },
    jobs,
    secrets: { ...listSecrets(secretsPlace), ...removeSecrets(secretsPlace) },
    builder: stopBuilds(buildPlace),
    fleet: {
      view: async (ref) => await viewTarget(fleetPlace, ref),
      retire: async (ref) => await retireTarget({ ...fleetPlace, waitSeconds: 0, wait: async () => {} }, ref),
    },
  };
  const own = { ...secretsPlace, clock };
  const tokens = rotatingSecret(own, adminTokenSecret);
  const webhookSecrets = rotatingSecret(own, webhookSecretSecret);
  return {
    api: apiPorts,
    workflow: workflowPorts,
    events: eventPorts,
    reconcile: reconcilePorts,
    credentials: async () => ({ adminTokens: await tokens(), webhookSecrets: await webhookSecrets() }),
  };
}
