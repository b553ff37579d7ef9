import {
  BatchGetBuildsCommand,
  CodeBuildClient,
  CreateProjectCommand,
  StartBuildCommand,
  type CreateProjectCommandInput,
} from '@aws-sdk/client-codebuild';
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeServicesCommand,
  ECSClient,
  ListServiceDeploymentsCommand,
  RegisterTaskDefinitionCommand,
  StopServiceDeploymentCommand,
  UpdateServiceCommand,
} from '@aws-sdk/client-ecs';
import {
  CreateTargetGroupCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  RegisterTargetsCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { CreateSecretCommand, PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  SFNClient,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { describeOnEmulator, emulatorAccount, startEmulator, type Emulator } from './emulator.ts';

const role = `arn:aws:iam::${emulatorAccount}:role/test`;

/**
 * Where ministack is not like AWS, and so why these suites run on the scripted AWS instead (`docs/aws.md`). A test that
 * fails here with a newer ministack is good news: a suite can move.
 */
describeOnEmulator('what ministack does not do as AWS does', () => {
  let emulator: Emulator;

  beforeAll(async () => {
    const started = await startEmulator();
    if (!started) throw new Error('The emulator is absent');
    emulator = started;
  });
  afterAll(async () => {
    await emulator?.close();
  });

  describe('ECS', () => {
    it('knows no service deployments: a new revision runs at once, and nothing can be observed, gated or stopped', async () => {
      const ecs = new ECSClient(emulator.config);
      const register = async (image: string) => {
        const containerDefinitions = [{ name: 'web', image, essential: true }];
        const { taskDefinition } = await ecs.send(
          new RegisterTaskDefinitionCommand({ family: 'web', containerDefinitions, cpu: '256', memory: '512' }),
        );
        return taskDefinition?.taskDefinitionArn;
      };
      await ecs.send(new CreateClusterCommand({ clusterName: 'main' }));
      const first = { cluster: 'main', taskDefinition: await register('web:1') };
      await ecs.send(new CreateServiceCommand({ ...first, serviceName: 'web', desiredCount: 2 }));
      const updated = { cluster: 'main', service: 'web', taskDefinition: await register('web:2') };
      const { service } = await ecs.send(new UpdateServiceCommand(updated));
      expect(service?.deployments).toMatchObject([{ status: 'PRIMARY', rolloutState: 'COMPLETED' }]);
      const listed = await ecs.send(new ListServiceDeploymentsCommand({ cluster: 'main', service: 'web' }));
      expect(listed.serviceDeployments).toEqual([]);
      const { services } = await ecs.send(new DescribeServicesCommand({ cluster: 'main', services: ['web'] }));
      expect(services?.[0]?.currentServiceRevisions).toBeUndefined();
      const serviceDeploymentArn = `arn:aws:ecs:eu-central-1:${emulatorAccount}:service-deployment/main/web/1`;
      await expect(ecs.send(new StopServiceDeploymentCommand({ serviceDeploymentArn }))).rejects.toMatchObject({
        name: 'InvalidAction',
      });
    });
  });

  describe('Elastic Load Balancing', () => {
    it('finds every target healthy, also where nothing listens', async () => {
      const elb = new ElasticLoadBalancingV2Client(emulator.config);
      const { TargetGroups } = await elb.send(
        new CreateTargetGroupCommand({ Name: 'web', Protocol: 'HTTP', Port: 80, VpcId: 'vpc-1', TargetType: 'ip' }),
      );
      const TargetGroupArn = TargetGroups?.[0]?.TargetGroupArn;
      await elb.send(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: '192.0.2.1', Port: 80 }] }));
      const { TargetHealthDescriptions } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
      expect(TargetHealthDescriptions?.map(({ TargetHealth }) => TargetHealth?.State)).toEqual(['healthy']);
    });
  });

  describe('CodeBuild', () => {
    const project: CreateProjectCommandInput = {
      name: 'image',
      source: { type: 'NO_SOURCE', buildspec: 'version: 0.2' },
      artifacts: { type: 'NO_ARTIFACTS' },
      environment: {
        type: 'LINUX_CONTAINER',
        image: 'aws/codebuild/standard:7.0',
        computeType: 'BUILD_GENERAL1_SMALL',
      },
      serviceRole: role,
    };

    it('runs no build: each has succeeded at once, exports nothing, and a token does not make it one', async () => {
      const codeBuild = new CodeBuildClient(emulator.config);
      await codeBuild.send(new CreateProjectCommand(project));
      const start = async () => {
        const { build } = await codeBuild.send(
          new StartBuildCommand({ projectName: 'image', idempotencyToken: 'once' }),
        );
        return build?.id ?? '';
      };
      const ids = [await start(), await start()];
      expect(new Set(ids).size).toBe(2);
      const { builds = [] } = await codeBuild.send(new BatchGetBuildsCommand({ ids }));
      expect(builds.map(({ buildStatus }) => buildStatus)).toEqual(['SUCCEEDED', 'SUCCEEDED']);
      expect(builds.map(({ exportedEnvironmentVariables }) => exportedEnvironmentVariables)).toEqual([
        undefined,
        undefined,
      ]);
    });

    it('is not started by Step Functions', async () => {
      const stepFunctions = new SFNClient(emulator.config);
      const build = {
        Type: 'Task',
        Resource: 'arn:aws:states:::codebuild:startBuild.sync',
        Parameters: { ProjectName: 'image' },
        End: true,
      };
      const { stateMachineArn } = await stepFunctions.send(
        new CreateStateMachineCommand({
          name: 'builds',
          roleArn: role,
          definition: JSON.stringify({ StartAt: 'Build', States: { Build: build } }),
        }),
      );
      const { executionArn } = await stepFunctions.send(new StartExecutionCommand({ stateMachineArn }));
      const ended = async () => {
        const { status, cause } = await stepFunctions.send(new DescribeExecutionCommand({ executionArn }));
        expect([status, cause]).toEqual(['FAILED', expect.stringContaining('is not yet implemented')]);
      };
      await vi.waitFor(ended, { timeout: 10_000, interval: 200 });
    });
  });

  describe('Step Functions', () => {
    // https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    it('refuses the start of a running execution again, where AWS answers a repeated call with the same one', async () => {
      const stepFunctions = new SFNClient(emulator.config);
      const definition = { StartAt: 'Wait', States: { Wait: { Type: 'Wait', Seconds: 60, End: true } } };
      const { stateMachineArn } = await stepFunctions.send(
        new CreateStateMachineCommand({ name: 'waits', roleArn: role, definition: JSON.stringify(definition) }),
      );
      const start = new StartExecutionCommand({ stateMachineArn, name: 'one', input: '{}' });
      await stepFunctions.send(start);
      await expect(stepFunctions.send(start)).rejects.toMatchObject({ name: 'ExecutionAlreadyExists' });
    });
  });

  describe('Secrets Manager', () => {
    // https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
    it('takes another value for the version that a token made, where AWS refuses it', async () => {
      const secrets = new SecretsManagerClient(emulator.config);
      await secrets.send(new CreateSecretCommand({ Name: 'web', SecretString: 'first' }));
      const ClientRequestToken = crypto.randomUUID();
      const write = async (SecretString: string) =>
        await secrets.send(new PutSecretValueCommand({ SecretId: 'web', SecretString, ClientRequestToken }));
      await write('second');
      expect((await write('third')).VersionId).toBe(ClientRequestToken);
    });
  });
});
