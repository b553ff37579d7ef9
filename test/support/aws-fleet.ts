import type { AppInput } from '../../functions/apps/schema.ts';
import type { RegisterTaskDefinitionCommandInput, TaskDefinition } from '@aws-sdk/client-ecs';
import { apiFleet } from '../../functions/aws/fleet/api-fleet.ts';
import { workflowFleet } from '../../functions/aws/fleet/workflow-fleet.ts';
import type { Artifact } from '../../functions/artifacts/artifact.ts';
import type { Fleet, Revision, TargetRef } from '../../functions/ports/fleet.ts';
import type { Records } from '../../functions/ports/records.ts';
import { openTestRecords } from './records.ts';
import { bundleArtifact, policy, revisionOf, targetRef } from './fleet.ts';
import { scriptedEcs } from './scripted-ecs.ts';

export const prefix = 'sluice';
const digest = `sha256:${'ab'.repeat(32)}` as const;
export const imageArtifact: Artifact = {
  ...bundleArtifact(digest),
  kind: 'image',
  reference: `111122223333.dkr.ecr.eu-central-1.amazonaws.com/sluice/web@${digest}`,
};
export const managedTags = [
  { key: 'sluice:managed', value: prefix },
  { key: 'sluice:app', value: 'web' },
  { key: 'sluice:environment', value: 'dev' },
];

/** The task definition that an app's stack gives its service. */
export function stackDefinition(
  more: Partial<RegisterTaskDefinitionCommandInput> = {},
): RegisterTaskDefinitionCommandInput {
  return {
    family: 'web-dev',
    networkMode: 'awsvpc' as const,
    cpu: '256',
    memory: '512',
    requiresCompatibilities: ['FARGATE' as const],
    taskRoleArn: 'arn:aws:iam::111122223333:role/sluice/task/web',
    executionRoleArn: 'arn:aws:iam::111122223333:role/sluice/task/web-execution',
    containerDefinitions: [
      {
        name: 'web',
        image: 'public.ecr.aws/nginx/nginx:stable',
        portMappings: [{ containerPort: 3000 }],
        environment: [{ name: 'TABLE', value: 'web-table' }],
        logConfiguration: {
          logDriver: 'awslogs' as const,
          options: { 'awslogs-group': '/web/dev', 'awslogs-stream-prefix': 'web', 'awslogs-region': 'eu-central-1' },
        },
      },
    ],
    ...more,
  };
}

/** What an app's environment variable `BEHAVES` makes its tasks do in the scripted ECS. */
function behaviourOf(definition: TaskDefinition) {
  const variables = definition.containerDefinitions?.flatMap(({ environment }) => environment ?? []);
  const value = variables?.find(({ name }) => name === 'BEHAVES')?.value;
  return (value ?? 'healthy') as 'healthy' | 'unhealthy' | 'exits' | 'slow';
}

export type AwsFleetOptions = {
  readonly records?: Records;
  /** How often the SDK asks; default: as in the product. */
  readonly maxAttempts?: number;
};

/** The Fleet port on a scripted ECS, with one service of an app's stack that runs and is steady. */
export async function awsFleet(options: AwsFleetOptions = {}) {
  const aws = scriptedEcs(options);
  aws.world.settings.behaviour = behaviourOf;
  const stores = options.records ? { records: options.records, close: async () => {} } : await openTestRecords();
  const { records } = stores;
  const parts = {
    ecs: aws.ecs,
    loadBalancing: aws.loadBalancing,
    logs: aws.logs,
    registry: async () => aws.ecr,
    records,
    prefix,
    bucket: 'sluice-bucket',
    clock: () => aws.world.now(),
    secretReference: (name: string, version: string) =>
      `arn:aws:secretsmanager:eu-central-1:111122223333:secret:sluice/${name}-AbCdEf:::${version}`,
    wait: async () => aws.world.tick(6),
  };
  const fleet: Fleet = { ...apiFleet(parts), ...workflowFleet(parts) };
  const addTarget = (
    name: string,
    more: {
      desired?: number;
      target?: Partial<TargetRef['target']>;
      definition?: Partial<RegisterTaskDefinitionCommandInput>;
    } = {},
  ) => {
    const { definition } = aws.world.register(stackDefinition({ family: name, ...more.definition }));
    const service = aws.world.addService({
      name,
      cluster: 'main',
      tags: structuredClone(managedTags),
      desired: more.desired ?? 2,
      definition: definition.taskDefinitionArn ?? '',
    });
    const ref = targetRef({ cluster: 'main', service: name, name, ...more.target });
    return { service, ref };
  };
  const { service, ref } = addTarget('web-dev');
  aws.forgetCalls();
  /** Ticks until the rollout has ended, looking after each tick. */
  const settle = async (id: string, of: TargetRef = ref) => {
    for (let ticks = 0; ticks < 200; ticks += 1) {
      const observation = await fleet.observeRollout(of, id);
      if (observation.status !== 'in_progress' && observation.status !== 'failed') return observation;
      aws.world.tick();
    }
    throw new Error(`the rollout ${id} has not ended: ${JSON.stringify(await fleet.observeRollout(of, id))}`);
  };
  let rollouts = 0;
  const newRollout = (more: { revision?: Partial<Revision>; policy?: Partial<typeof policy>; id?: string } = {}) => ({
    id: more.id ?? `deployment-${(rollouts += 1)}.web-dev`,
    revision: revisionOf(imageArtifact, { id: `rev-${rollouts}`, ...more.revision }),
    policy: { ...policy, timeLimitSeconds: 600, ...more.policy },
  });
  const roll = async (more: Parameters<typeof newRollout>[0] = {}) => {
    const rollout = newRollout(more);
    await fleet.startRollout(ref, rollout);
    return { rollout, end: await settle(rollout.id) };
  };
  return {
    aws,
    fleet,
    parts,
    records,
    service,
    ref,
    addTarget,
    settle,
    newRollout,
    roll,
    close: async () => await stores.close(),
  };
}

export type AwsFleet = Awaited<ReturnType<typeof awsFleet>>;

/** An app of two services in two waves; `behaves` says how the scripted tasks do, and makes each a revision of its own. */
export const twoServices = (behaves: string, rollout: object): AppInput => ({
  source: { repoUrl: 'https://github.com/acme/web' },
  build: { kind: 'bundle' },
  runtime: { command: ['node', 'server.mjs'], env: { BEHAVES: behaves } },
  environments: [
    {
      name: 'dev',
      branch: 'main',
      targets: [
        { name: 'one', cluster: 'main', service: 'one', container: 'web' },
        { name: 'two', cluster: 'main', service: 'two', container: 'web', wave: 1 },
      ],
      rollout,
    },
  ],
});
