/**
 * Events as AWS's documents show them, with the account, region and names of these tests; `resources` and `detail` are
 * whole, with what nobody here reads.
 */
const account = '123456789012';
const region = 'eu-central-1';
const arn = (service: string, resource: string) => `arn:aws:${service}:${region}:${account}:${resource}`;
const event = (source: string, type: string, rest: { time: string; resources: string[]; detail: object }) => ({
  version: '0',
  id: 'ddca6449-b258-46c0-8653-e0e3a6EXAMPLE',
  'detail-type': type,
  source,
  account,
  region,
  ...rest,
});

export const serviceArn = arn('ecs', 'service/main/web-dev');

/** https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html */
export const deploymentEvent = (eventName = 'SERVICE_DEPLOYMENT_COMPLETED') =>
  event('aws.ecs', 'ECS Deployment State Change', {
    time: '2020-05-23T12:31:14Z',
    resources: [serviceArn],
    detail: {
      eventType: eventName === 'SERVICE_DEPLOYMENT_FAILED' ? 'ERROR' : 'INFO',
      eventName,
      deploymentId: 'ecs-svc/123',
      updatedAt: '2020-05-23T11:11:11Z',
      reason: 'ECS deployment deploymentID completed.',
    },
  });

/** https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_events.html */
export const serviceActionEvent = () =>
  event('aws.ecs', 'ECS Service Action', {
    time: '2019-11-19T19:27:22Z',
    resources: [serviceArn],
    detail: {
      eventType: 'INFO',
      eventName: 'SERVICE_STEADY_STATE',
      clusterArn: arn('ecs', 'cluster/main'),
      createdAt: '2019-11-19T19:27:22.695Z',
    },
  });

/** https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html */
export const taskEvent = (group = 'service:web-dev') =>
  event('aws.ecs', 'ECS Task State Change', {
    time: '2020-01-23T18:19:43Z',
    resources: [arn('ecs', 'task/main/c13b4cb40f1f4fe4a2971f76ae5a47ad')],
    detail: {
      attachments: [{ id: '1789bcae-ddfb-4d10-8ebe-8ac87ddba5b8', type: 'eni', status: 'ATTACHED', details: [] }],
      availabilityZone: 'eu-central-1b',
      clusterArn: arn('ecs', 'cluster/main'),
      containers: [{ containerArn: arn('ecs', 'container/cf159fd6'), lastStatus: 'RUNNING', name: 'web', cpu: '0' }],
      createdAt: '2020-01-23T18:17:47.704Z',
      launchType: 'FARGATE',
      cpu: '256',
      memory: '512',
      desiredStatus: 'RUNNING',
      group,
      lastStatus: 'RUNNING',
      overrides: { containerOverrides: [{ name: 'web' }] },
      connectivity: 'CONNECTED',
      startedAt: '2020-01-23T18:18:55Z',
      startedBy: 'ecs-svc/8386283478459263541',
      taskArn: arn('ecs', 'task/main/c13b4cb40f1f4fe4a2971f76ae5a47ad'),
      taskDefinitionArn: arn('ecs', 'task-definition/web-dev:1'),
      updatedAt: '2020-01-23T18:18:55.643Z',
      version: 4,
      platformVersion: '1.3.0',
    },
  });

export const stateMachineArn = arn('states', 'stateMachine:sluice-deploy');

/** https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html */
export const executionEvent = (name: string, status: string, { ranMs = 600_000 }: { ranMs?: number } = {}) =>
  event('aws.states', 'Step Functions Execution Status Change', {
    time: '2019-02-26T19:42:21Z',
    resources: [arn('states', `execution:sluice-deploy:${name}`)],
    detail: {
      executionArn: arn('states', `execution:sluice-deploy:${name}`),
      stateMachineArn,
      name,
      status,
      startDate: 1_551_225_146_847,
      stopDate: status === 'RUNNING' ? null : 1_551_225_146_847 + ranMs,
      input: '{}',
      inputDetails: { included: true },
      output: null,
      outputDetails: null,
    },
  });

/** https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications-ref.html */
export const buildEvent = (spec: object, { project = 'sluice-build-image' }: { project?: string } = {}) => ({
  version: '0',
  id: 'c030038d-8c4d-6141-9545-00ff7b7153EX',
  'detail-type': 'CodeBuild Build State Change',
  source: 'aws.codebuild',
  account,
  time: '2017-09-01T16:14:28Z',
  region,
  resources: [arn('codebuild', `build/${project}:8745a7a9-c340-456a-9166-edf953571bEX`)],
  detail: {
    'build-status': 'SUCCEEDED',
    'project-name': project,
    'build-id': arn('codebuild', `build/${project}:8745a7a9-c340-456a-9166-edf953571bEX`),
    'additional-information': {
      artifact: { md5sum: 'da9c44c8a9a3cd4b443126e823168fEX', location: 'arn:aws:s3:::out/my-output-artifact.zip' },
      environment: {
        image: 'aws/codebuild/standard:5.0',
        'privileged-mode': false,
        'compute-type': 'BUILD_GENERAL1_SMALL',
        type: 'LINUX_CONTAINER',
        'environment-variables': [
          { name: 'SLUICE_PREFIX', value: 'sluice', type: 'PLAINTEXT' },
          { name: 'SLUICE_SPEC', value: JSON.stringify(spec), type: 'PLAINTEXT' },
        ],
      },
      'timeout-in-minutes': 60,
      'build-complete': true,
      initiator: 'states/sluice-deploy',
      'build-start-time': 'Sep 1, 2017 4:12:29 PM',
      source: { location: 'assets/agent.zip', type: 'S3' },
      logs: {
        'group-name': '/sluice/build/image',
        'stream-name': '8745a7a9-c340-456a-9166-edf953571bEX',
        'deep-link':
          'https://console.aws.amazon.com/cloudwatch/home?region=eu-central-1#logEvent:group=null;stream=null',
      },
      phases: [
        {
          'phase-context': [],
          'start-time': 'Sep 1, 2017 4:12:29 PM',
          'end-time': 'Sep 1, 2017 4:12:29 PM',
          'duration-in-seconds': 0,
          'phase-type': 'SUBMITTED',
          'phase-status': 'SUCCEEDED',
        },
      ],
    },
    'current-phase': 'COMPLETED',
    'current-phase-context': '[]',
    version: '1',
  },
});
