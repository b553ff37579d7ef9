import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Cluster } from 'aws-cdk-lib/aws-ecs';
import { ApplicationLoadBalancer, ApplicationProtocol } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as fc from 'fast-check';
import * as v from 'valibot';
import { beforeAll, describe, expect, it } from 'vitest';
import { deployKeyPath, secretPath } from '../../functions/apps/secrets.ts';
import { nameSchema } from '../../functions/apps/schema.ts';
import { managedIssue } from '../../functions/aws/fleet/service.ts';
import { registerInput } from '../../functions/aws/fleet/task-definition.ts';
import type { Revision } from '../../functions/ports/fleet.ts';
import { blobKey, imageRepository, secretName } from '../../functions/runtime/aws-names.ts';
import { bundleInitCommand } from '../../functions/runtime/bundle-init.ts';
import { DeployableService, type DeployableServiceProps } from '../../infra/deployable-service.ts';
import { nodeImage, nameRules } from '../../infra/deployable-props.ts';
import { serviceFamily, templateFamily } from '../../infra/deployable-task.ts';
import { allows, trustOf } from './policy.ts';
import { flat, outFolder, resourceOf, resourcesOf, statementsOf } from './stand-in.ts';

type Given = Partial<Omit<DeployableServiceProps, 'cluster'>>;

const made = new Map<string, Template>();

/** A synthesis takes a while: of what was made before, what was made. */
function make(given: Given = {}, change?: (service: DeployableService) => void): Template {
  if (change) return synthesize(given, change);
  const key = JSON.stringify(given);
  const template = made.get(key) ?? synthesize(given);
  made.set(key, template);
  return template;
}

function synthesize(given: Given, change?: (service: DeployableService) => void): Template {
  const stack = new Stack(new App({ outdir: outFolder(), analyticsReporting: false }), 'team', {
    env: { account: '111122223333', region: 'eu-central-1' },
  });
  const vpc = Vpc.fromVpcAttributes(stack, 'Network', {
    vpcId: 'vpc-12345678',
    availabilityZones: ['eu-central-1a', 'eu-central-1b'],
    publicSubnetIds: ['subnet-11111111', 'subnet-22222222'],
    privateSubnetIds: ['subnet-33333333', 'subnet-44444444'],
  });
  const cluster = new Cluster(stack, 'Cluster', { vpc });
  const loadBalancer = new ApplicationLoadBalancer(stack, 'Balancer', { vpc });
  const listener = loadBalancer.addListener('Http', { port: 80, protocol: ApplicationProtocol.HTTP });
  listener.addTargets('Rest', { port: 80 });
  const service = new DeployableService(stack, 'Web', {
    app: 'web',
    environment: 'dev',
    target: 'main',
    cluster,
    runs: { kind: 'image' },
    front: { kind: 'listener', listener, priority: 10, hosts: ['web.example.com'] },
    ...given,
  });
  change?.(service);
  return Template.fromStack(stack);
}

// The first synthesis loads CDK, which takes long on a machine that is busy.
beforeAll(() => void make(), 120_000);

const bundle = { runs: { kind: 'bundle' } } as const;
type Container = Readonly<Record<string, unknown>> & { readonly Name: string };
const ofService = (template: Template) => resourceOf(template, 'AWS::ECS::Service').Properties;
const definition = (template: Template, id: 'Template' | 'First') =>
  resourceOf(template, 'AWS::ECS::TaskDefinition', `Web${id}`).Properties as {
    readonly Family: string;
    readonly ContainerDefinitions: readonly Container[];
  } & Readonly<Record<string, unknown>>;
const targets = (template: Template) =>
  resourceOf(template, 'AWS::ElasticLoadBalancingV2::TargetGroup', 'WebTargets').Properties;
const role = (template: Template, id: 'TaskRole' | 'ExecutionRole') =>
  resourceOf(template, 'AWS::IAM::Role', `Web${id}`);
const tagsOf = (properties: Readonly<Record<string, unknown>>) =>
  Object.fromEntries((properties['Tags'] as { Key: string; Value: string }[]).map(({ Key, Value }) => [Key, Value]));
const attributes = (template: Template) =>
  Object.fromEntries(
    (targets(template)['TargetGroupAttributes'] as { Key: string; Value: string }[]).map(({ Key, Value }) => [
      Key,
      Value,
    ]),
  );

describe('an update of the stack', () => {
  it('leaves what is deployed: the service names a family and no revision, and no number of tasks', () => {
    const service = ofService(make());
    expect(service['TaskDefinition']).toBe('sluice_web_dev_main');
    expect(service).not.toHaveProperty('DesiredCount');
  });

  it('registers nothing in the family that the service runs, whatever becomes of the tasks', () => {
    const before = definition(make(), 'First');
    const after = definition(
      make(
        { cpu: 1024, memory: 2048, readonlyRoot: true, user: '1001', environmentVariables: { TABLE: 't' } },
        (service) => service.template.addVolume({ name: 'cache' }),
      ),
      'First',
    );
    expect(after).toEqual(before);
    expect(before.Family).toBe('sluice_web_dev_main');
  });

  it('is of no other service’s family, whatever the two are called', () => {
    const names = [
      { app: 'web', environment: 'dev', target: 'main-template' },
      { app: 'web', environment: 'dev', target: 'main' },
      { app: 'web-dev', environment: 'main', target: 'template' },
      { app: 'web', environment: 'dev-main', target: 'template' },
      { prefix: 'sluice-web', app: 'dev', environment: 'main', target: 'template' },
    ];
    const families = names
      .map((given) => ({ prefix: 'sluice', ...given }))
      .flatMap((given) => [serviceFamily(given as never), templateFamily(given as never)]);
    expect(new Set(families).size).toBe(families.length);
  });

  it('brings what it changes in a family of its own, which both definitions name', () => {
    const template = make({ cpu: 1024, memory: 2048 });
    const { Family, Cpu, Memory, ...rest } = definition(template, 'Template');
    expect({ Family, Cpu, Memory }).toEqual({ Family: 'sluice_web_dev_main_template', Cpu: '1024', Memory: '2048' });
    expect(tagsOf(rest)['sluice:template']).toBe(Family);
    expect(tagsOf(definition(template, 'First'))['sluice:template']).toBe(Family);
  });
});

describe('a deployment', () => {
  const revision: Revision = {
    id: 'r1',
    deploymentId: 'd1',
    artifact: { digest: `sha256:${'0'.repeat(64)}`, sizeBytes: 1 } as never,
    port: 3000,
    env: { LEVEL: 'info', TABLE: 'of-the-app' },
    secrets: {},
    stopTimeoutSeconds: 20,
    health: {} as never,
  };
  const target = { name: 'main', cluster: 'apps', service: 'web-dev-main', desiredCount: 1, wave: 0 };
  const registered = (template: Template, change: Partial<Revision>) =>
    registerInput({
      base: { taskDefinition: { ...(asEcs(definition(template, 'Template')) as object), revision: 7 } },
      family: 'sluice_web_dev_main',
      template: 'sluice_web_dev_main_template',
      ref: { app: 'web', environment: 'dev', target, domains: [] },
      rolloutId: 'd1/main',
      revision: { ...revision, ...change },
      secretReferences: { KEY: 'arn:key:::v1' },
      prefix: 'sluice',
      bucket: 'artifacts',
    });

  it('of an image makes of the template what is to run, in the family of the service', () => {
    const reference = `registry/web@sha256:${'1'.repeat(64)}`;
    const template = make({ cpu: 1024, memory: 2048, environmentVariables: { TABLE: 'of-the-stack', URL: 'x' } });
    const made = registered(template, { artifact: { ...revision.artifact, kind: 'image', reference } });
    expect(made).toMatchObject({ family: 'sluice_web_dev_main', cpu: '1024', memory: '2048' });
    const [container] = made.containerDefinitions ?? [];
    expect(container).toMatchObject({ name: 'web', image: reference, stopTimeout: 20 });
    expect(container?.command).toBeUndefined();
    expect(container?.secrets).toEqual([{ name: 'KEY', valueFrom: 'arn:key:::v1' }]);
    expect(Object.fromEntries((container?.environment ?? []).map(({ name, value }) => [name, value]))).toEqual({
      LEVEL: 'info',
      TABLE: 'of-the-app',
      URL: 'x',
      PORT: '3000',
    });
    expect(made.tags).toContainEqual({ key: 'sluice:template', value: 'sluice_web_dev_main_template' });
  });

  it('of a bundle tells the init container what to fetch, and the app how to start', () => {
    const made = registered(make(bundle), {
      artifact: { ...revision.artifact, kind: 'bundle' },
      command: ['node', 'server.js'],
    });
    const [app, init] = made.containerDefinitions ?? [];
    expect(app).toMatchObject({ command: ['node', 'server.js'], workingDirectory: '/bundle', image: nodeImage });
    expect(init).toMatchObject({
      name: 'sluice-bundle',
      environment: [
        { name: 'SLUICE_BUNDLE_BUCKET', value: 'artifacts' },
        { name: 'SLUICE_BUNDLE_KEY', value: `blobs/sha256/${'0'.repeat(64)}` },
        { name: 'SLUICE_BUNDLE_SHA256', value: '0'.repeat(64) },
      ],
    });
  });

  it('may be made on the service by what the fleet asks of its tags', () => {
    const tags = Object.entries(tagsOf(ofService(make()))).map(([key, value]) => ({ key, value }));
    const asked = { prefix: 'sluice', app: 'web', environment: 'dev' };
    expect(managedIssue({ tags }, asked)).toBeUndefined();
    expect(managedIssue({ tags }, { ...asked, app: 'shop' })).toContain('sluice:app');
  });
});

describe('before the first deployment', () => {
  it('something answers that needs nothing of ours, with the port and name of the app', () => {
    const [container, ...others] = definition(make({ containerPort: 8080 }), 'First').ContainerDefinitions;
    expect(others).toEqual([]);
    expect(container).toMatchObject({
      Name: 'web',
      Image: 'public.ecr.aws/docker/library/node:24-slim',
      Environment: [{ Name: 'PORT', Value: '8080' }],
      PortMappings: [{ ContainerPort: 8080 }],
      ReadonlyRootFilesystem: true,
      User: '1000:1000',
    });
  });

  it('what answers does so, on any path', async () => {
    const [container] = definition(make(), 'First').ContainerDefinitions;
    const [, ...args] = (container?.['Command'] ?? []) as string[];
    const { execa } = await import('execa');
    const { createServer } = await import('node:net');
    const probe = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => probe.once('listening', resolve));
    const { port } = probe.address() as { port: number };
    await new Promise((resolve) => probe.close(resolve));
    const child = execa(process.execPath, args, { env: { PORT: String(port) }, reject: false });
    try {
      const status = await retried(async () => (await fetch(`http://127.0.0.1:${port}/health?x`)).status);
      expect(status).toBe(200);
    } finally {
      child.kill('SIGTERM');
      await child;
    }
  });

  it('its command is not in the template, or the app’s image would be started with it', () => {
    for (const given of [{}, bundle]) {
      const containers = definition(make(given), 'Template').ContainerDefinitions;
      expect(containers.find(({ Name }) => Name === 'web')).not.toHaveProperty('Command');
    }
  });
});

describe('a rollout', () => {
  it('never has fewer tasks than are wanted, and is undone by the circuit breaker or an alarm', () => {
    const { DeploymentConfiguration, DeploymentController, AvailabilityZoneRebalancing } = ofService(
      make(),
    ) as never as {
      DeploymentConfiguration: Record<string, unknown> & { Alarms: { AlarmNames: unknown[] } };
      DeploymentController: unknown;
      AvailabilityZoneRebalancing: string;
    };
    expect(DeploymentController).toEqual({ Type: 'ECS' });
    expect(AvailabilityZoneRebalancing).toBe('ENABLED');
    expect(DeploymentConfiguration).toMatchObject({
      MinimumHealthyPercent: 100,
      MaximumPercent: 200,
      DeploymentCircuitBreaker: { Enable: true, Rollback: true },
      Alarms: { Enable: true, Rollback: true },
    });
    expect(DeploymentConfiguration.Alarms.AlarmNames.map(flat)).toEqual([
      expect.stringContaining('WebTooManyErrors'),
      expect.stringContaining('WebUnhealthyTasks'),
    ]);
  });

  it('is healthy within seconds, and drains for as long as it says', () => {
    expect(targets(make())).toMatchObject({
      HealthCheckIntervalSeconds: 5,
      HealthCheckTimeoutSeconds: 2,
      HealthyThresholdCount: 2,
      UnhealthyThresholdCount: 2,
      HealthCheckPath: '/health',
      Matcher: { HttpCode: '200-299' },
      TargetType: 'ip',
    });
    expect(attributes(make())['deregistration_delay.timeout_seconds']).toBe('30');
    expect(attributes(make({ drainSeconds: 0 }))['deregistration_delay.timeout_seconds']).toBe('0');
    expect(ofService(make({ health: { graceSeconds: 120 } }))['HealthCheckGracePeriodSeconds']).toBe(120);
  });

  it('does not take a task that is slow to start for a failure: the alarm waits longer than the grace', () => {
    const alarm = (graceSeconds: number) =>
      resourceOf(make({ health: { graceSeconds } }), 'AWS::CloudWatch::Alarm', 'WebUnhealthy').Properties[
        'EvaluationPeriods'
      ];
    expect([0, 60, 61, 300].map(alarm)).toEqual([1, 2, 3, 6]);
  });

  it('keeps a client with its task by a cookie, where that is asked for', () => {
    expect(attributes(make())['stickiness.enabled']).toBe('false');
    expect(attributes(make({ stickySeconds: 600 }))).toMatchObject({
      'stickiness.enabled': 'true',
      'stickiness.lb_cookie.duration_seconds': '600',
    });
  });
});

describe('the tasks', () => {
  it('are kept between two numbers by their load, or at one', () => {
    const range = (of: Template) => {
      const { MinCapacity, MaxCapacity } = resourceOf(of, 'AWS::ApplicationAutoScaling::ScalableTarget').Properties;
      return [MinCapacity, MaxCapacity, resourcesOf(of, 'AWS::ApplicationAutoScaling::ScalingPolicy').length];
    };
    expect(range(make())).toEqual([2, 4, 1]);
    expect(range(make({ tasks: { min: 3, max: 3 } }))).toEqual([3, 3, 0]);
  });

  it('carry, like the service and both definitions, by whom and of whom they are', () => {
    const template = make({ prefix: 'team' });
    const tags = { 'sluice:managed': 'team', 'sluice:app': 'web', 'sluice:environment': 'dev' };
    expect(tagsOf(ofService(template))).toEqual(tags);
    expect(ofService(template)['PropagateTags']).toBe('SERVICE');
    for (const id of ['Template', 'First'] as const) expect(tagsOf(definition(template, id))).toMatchObject(tags);
  });

  it('have a process 1 that passes SIGTERM on, pinned images, and no shell for anybody', () => {
    const template = make({ stopTimeoutSeconds: 45 });
    for (const id of ['Template', 'First'] as const) {
      const [container] = definition(template, id).ContainerDefinitions;
      expect(container).toMatchObject({ LinuxParameters: { InitProcessEnabled: true }, StopTimeout: 45 });
    }
    expect(definition(template, 'Template').ContainerDefinitions[0]).toMatchObject({ VersionConsistency: 'enabled' });
    expect(ofService(template)['EnableExecuteCommand']).toBe(false);
  });

  it('of a bundle fetch and unpack it first, and cannot change it', () => {
    const { ContainerDefinitions, Volumes } = definition(make(bundle), 'Template');
    const [app, init] = ContainerDefinitions;
    expect(Volumes).toEqual([{ Name: 'sluice-bundle' }]);
    expect(init).toMatchObject({
      Name: 'sluice-bundle',
      Essential: false,
      EntryPoint: bundleInitCommand,
      Image: 'public.ecr.aws/aws-cli/aws-cli:latest',
      MountPoints: [{ SourceVolume: 'sluice-bundle', ContainerPath: '/bundle', ReadOnly: false }],
    });
    expect(app).toMatchObject({
      Name: 'web',
      WorkingDirectory: '/bundle',
      User: '1000:1000',
      DependsOn: [{ ContainerName: 'sluice-bundle', Condition: 'SUCCESS' }],
      MountPoints: [{ SourceVolume: 'sluice-bundle', ContainerPath: '/bundle', ReadOnly: true }],
    });
  });

  it('of an image have that alone, as the user that it says', () => {
    const { ContainerDefinitions } = definition(make(), 'Template');
    expect(ContainerDefinitions.map(({ Name }) => Name)).toEqual(['web']);
    expect(ContainerDefinitions[0]).not.toHaveProperty('User');
    expect(definition(make({ user: '1001' }), 'Template').ContainerDefinitions[0]).toHaveProperty('User', '1001');
  });
});

describe('the roles of the tasks', () => {
  const arn = (service: string, rest: string) => `arn:<AWS::Partition>:${service}:eu-central-1:111122223333:${rest}`;
  const read = (path: string) => ({
    action: 'secretsmanager:GetSecretValue',
    resource: arn('secretsmanager', `secret:${secretName('sluice', path)}-AbCdEf`),
  });
  const pull = (app: string) => ({
    action: 'ecr:BatchGetImage',
    resource: arn('ecr', `repository/${imageRepository('sluice', app)}`),
  });
  const getBlob = {
    action: 's3:GetObject',
    resource: `arn:<AWS::Partition>:s3:::<SsmParameterValuesluicebucketnameC96584B6F00A464EAD1953AFF4B05118Parameter>/${blobKey(`sha256:${'0'.repeat(64)}`)}`,
  };

  it('are under the path that the control plane may pass on, and trusted by tasks of this account', () => {
    const template = make({ prefix: 'team' });
    for (const id of ['TaskRole', 'ExecutionRole'] as const) {
      const made = role(template, id);
      expect(made.Properties['Path']).toBe('/team/task/');
      expect(made.Properties['ManagedPolicyArns']).toBeUndefined();
      const { Principal, Condition } = trustOf(made);
      expect(Principal).toEqual({ Service: 'ecs-tasks.amazonaws.com' });
      expect(Condition?.['StringEquals']).toEqual({ 'aws:SourceAccount': '111122223333' });
      expect(flat(Condition?.['ArnLike']?.['aws:SourceArn'])).toBe(arn('ecs', '*'));
    }
  });

  it('let ECS pull this app’s images and read this app’s secrets, and of others none', () => {
    const statements = statementsOf(role(make(), 'ExecutionRole'));
    expect([pull('web'), read(secretPath('web', 'database-url'))].every((call) => allows(statements, call))).toBe(true);
    const foreign = [
      pull('shop'),
      pull('web-2'),
      read(secretPath('shop', 'database-url')),
      read(secretPath('web-2', 'x')),
      read(deployKeyPath('web')),
      read('control/admin-token'),
      { action: 'ecr:PutImage', resource: pull('web').resource },
    ];
    expect(foreign.filter((call) => allows(statements, call))).toEqual([]);
  });

  it('let ECS write the log of this service alone', () => {
    const statements = statementsOf(role(make(), 'ExecutionRole'));
    const write = (target: string) => ({
      action: 'logs:PutLogEvents',
      resource: arn('logs', `log-group:/sluice/task/web/dev/${target}:log-stream:task/web/1`),
    });
    expect(allows(statements, write('main'))).toBe(true);
    expect(allows(statements, write('other'))).toBe(false);
    expect(resourceOf(make(), 'AWS::Logs::LogGroup', 'WebLog').Properties).toMatchObject({
      LogGroupName: '/sluice/task/web/dev/main',
      RetentionInDays: 30,
    });
  });

  it('let the app itself do nothing, but read blobs where bundles are fetched', () => {
    expect(statementsOf(role(make(), 'TaskRole'))).toEqual([]);
    const statements = statementsOf(role(make(bundle), 'TaskRole'));
    expect(allows(statements, getBlob)).toBe(true);
    expect(statements.flatMap(({ Action }) => Action)).toEqual(['s3:GetObject']);
  });

  it('have no more than one permission on everything', () => {
    const template = make(bundle);
    const wide = (['TaskRole', 'ExecutionRole'] as const).flatMap((id) =>
      statementsOf(role(template, id)).filter(({ Resource: on }) => on === '*'),
    );
    expect(wide.map(({ Action }) => Action)).toEqual(['ecr:GetAuthorizationToken']);
    expect(resourcesOf(template, 'AWS::IAM::Policy')).toEqual([]);
  });
});

describe('a load balancer of its own', () => {
  const ports = (given: Given) =>
    resourcesOf(make(given), 'AWS::ElasticLoadBalancingV2::Listener')
      .filter(([id]) => id.startsWith('Web'))
      .map(([, { Properties }]) => [Properties['Port'], Properties['Protocol']]);

  it('speaks http without a certificate, and https alone with one', () => {
    expect(ports({ front: { kind: 'load-balancer' } })).toEqual([[80, 'HTTP']]);
    const certificateArn = 'arn:aws:acm:eu-central-1:111122223333:certificate/11111111-2222-3333-4444-555555555555';
    const given: Given = { front: { kind: 'load-balancer', certificateArn } };
    expect(ports(given)).toEqual([
      [443, 'HTTPS'],
      [80, 'HTTP'],
    ]);
    const [, http] = resourcesOf(make(given), 'AWS::ElasticLoadBalancingV2::Listener').filter(([id]) =>
      id.startsWith('Web'),
    );
    expect(http?.[1].Properties['DefaultActions']).toMatchObject([
      { Type: 'redirect', RedirectConfig: { Protocol: 'HTTPS' } },
    ]);
  });
});

describe('what cannot be', () => {
  it.each<[Given, string]>([
    [{ app: 'Web' }, 'app: expected 1 to 40 lower-case letters, digits and inner dashes, a letter first'],
    [{ prefix: 'Sluice' }, 'prefix: expected 1 to 16'],
    [{ environment: 'dev!' }, 'environment: expected 1 to 32'],
    [{ target: '' }, 'target: expected 1 to 32'],
    [{ serviceName: 'a b' }, 'serviceName: expected'],
    [{ tasks: { min: 0, max: 2 } }, 'tasks.min: expected a whole number from 1 to 1000'],
    [{ tasks: { min: 3, max: 2 } }, 'tasks.max: expected at least tasks.min'],
    [{ health: { intervalSeconds: 0.5 } }, 'health.intervalSeconds: expected a whole number from 5 to 300'],
    [{ health: { timeoutSeconds: 5 } }, 'health.timeoutSeconds: expected less than health.intervalSeconds'],
    [{ health: { path: 'health' } }, 'health.path: expected a path'],
    [{ stopTimeoutSeconds: 121 }, 'stopTimeoutSeconds: expected a whole number from 2 to 120'],
    [{ drainSeconds: -1 }, 'drainSeconds: expected'],
    [{ environmentVariables: { PORT: '80' } }, 'environmentVariables.PORT: expected a variable name other than PORT'],
    [
      { runs: { kind: 'image', runtimeImage: 'node' } as never },
      'runs.runtimeImage: expected none, as a service runs images or bundles, and this one has images',
    ],
    [{ runs: { kind: 'bundle', initialImage: 'node' } as never }, 'runs.initialImage: expected none'],
    [{ runs: { kind: 'jar' } as never }, 'runs.kind: expected image or bundle'],
    [{ front: { kind: 'listener', listener: undefined as never, priority: 1 } }, 'front.hosts: expected host names'],
  ])('is told in a sentence: %j', (given, told) => {
    expect(() => make(given)).toThrow(told);
  });

  it('a name is right here exactly when the app file takes it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.stringMatching(/^[a-zA-Z0-9-]{0,42}$/), fc.string()), (app) => {
        const isRight = nameRules({ app }).every(([, right]) => right);
        expect(isRight).toBe(v.safeParse(nameSchema, app).success);
      }),
    );
  });
});

/** As ECS gives back what CloudFormation registered: the same, with small letters first. */
function asEcs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asEcs);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [`${name[0]?.toLowerCase()}${name.slice(1)}`, asEcs(inner)]),
  );
}

async function retried<T>(attempt: () => Promise<T>, times = 200): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (times === 0) throw error;
    await new Promise((resolve) => setTimeout(resolve, 50));
    return await retried(attempt, times - 1);
  }
}
