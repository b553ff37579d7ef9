import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { BuildSpec, Project } from 'aws-cdk-lib/aws-codebuild';
import { DefinitionBody, IntegrationPattern, StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { CodeBuildStartBuild } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseApp } from '../../functions/apps/parse.ts';
import { parseBuildEvent } from '../../functions/aws/build-events.ts';
import { logPlaceOf } from '../../functions/aws/fleet/logs.ts';
import { containerNameOf } from '../../functions/aws/fleet/task-definition.ts';
import { rememberedHostKeys } from '../../functions/aws/known-hosts.ts';
import { writeObjects } from '../../functions/aws/objects.ts';
import { parseEnvironment } from '../../functions/lambda/environment.ts';
import { parseEvent } from '../../functions/lambda/parse-event.ts';
import { policy } from '../../functions/lambda/wire.ts';
import { defaultLimits, defaultOidc } from '../../functions/ports/limits.ts';
import { buildKinds, knownHostsKey } from '../../functions/runtime/aws-names.ts';
import { ExampleStack } from '../../infra/example-stack.ts';
import { functionNames } from '../../infra/permissions.ts';
import {
  buildEvent,
  deploymentEvent,
  executionEvent,
  serviceActionEvent,
  taskEvent,
} from '../lambda/documented-events.ts';
import { scriptedS3, type ScriptedS3 } from '../support/scripted-s3.ts';
import { allows, matches, trustOf, type Call } from './policy.ts';
import {
  flat,
  listOf,
  outFolder,
  resourceOf,
  resourcesOf,
  statementsOf,
  templateOf,
  type Resource,
} from './stand-in.ts';

/**
 * Two ends in two rooms: what the stacks make and allow, and what the code asks for by a name of its own. Each test here
 * takes both ends as they are.
 */
const place = { account: '123456789012', region: 'eu-central-1' };
let control: Template;
/** With the options that change a name the code asks by. */
let configured: Template;
let team: Template;
beforeAll(() => {
  control = templateOf(place);
  const builds = { buildKitImage: 'mirror/buildkit:v1', sbomScanner: 'none' };
  configured = templateOf({ ...place, clusters: ['main'], builds });
  const app = new App({ outdir: outFolder(), analyticsReporting: false });
  team = Template.fromStack(new ExampleStack(app, 'example', { env: place }));
}, 120_000);

const text = (value: unknown) => flat(value).replaceAll('<AWS::Partition>', 'aws');
const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const role = (template: Template, start: string) => resourceOf(template, 'AWS::IAM::Role', start);
const arn = (service: string, resource: string) => `arn:aws:${service}:${place.region}:${place.account}:${resource}`;

const propertiesOf = (resource: Resource | undefined): Readonly<Record<string, unknown>> => resource?.Properties ?? {};

/** The statements with AWS's own partition in their resources. */
function allowed(of: Resource, call: Call): boolean {
  const statements = statementsOf(of).map((one) => ({ ...one, Resource: listOf(one.Resource).map(text) }));
  return allows(statements, call);
}

describe('what AWS itself is to do', () => {
  it('Step Functions may be told that a build has ended by the very rule that CDK’s own task names', () => {
    const stack = new Stack(new App({ outdir: outFolder(), analyticsReporting: false }), 'cdk', { env: place });
    const buildSpec = BuildSpec.fromObject({ version: '0.2' });
    const state = new CodeBuildStartBuild(stack, 'Build', {
      project: new Project(stack, 'Project', { buildSpec }),
      integrationPattern: IntegrationPattern.RUN_JOB,
    });
    new StateMachine(stack, 'Machine', { definitionBody: DefinitionBody.fromChainable(state) });
    const [, policy] =
      resourcesOf(Template.fromStack(stack), 'AWS::IAM::Policy').find(([id]) => id.startsWith('MachineRole')) ?? [];
    const { Statement } = propertiesOf(policy)['PolicyDocument'] as {
      Statement: { Action: string[]; Resource: unknown }[];
    };
    const ofEvents = Statement.find(({ Action }) => Action.includes('events:PutRule'));
    expect(ofEvents?.Action).toEqual(['events:PutTargets', 'events:PutRule', 'events:DescribeRule']);
    for (const machine of ['DeployRole', 'JobsRole'])
      for (const action of ofEvents?.Action ?? [])
        expect(allowed(role(control, machine), { action, resource: text(ofEvents?.Resource) })).toBe(true);
  });

  it('CodeBuild reads the agent and asks of its bucket, as its document lists it', () => {
    const [, every] = resourcesOf(control, 'AWS::IAM::ManagedPolicy')[0] ?? [];
    const { Statement } = propertiesOf(every)['PolicyDocument'] as {
      Statement: { Action: unknown; Resource: unknown }[];
    };
    const actions = Statement.flatMap(({ Action }) => listOf(Action));
    for (const action of ['s3:GetObject', 's3:GetObjectVersion', 's3:GetBucketAcl', 's3:GetBucketLocation'])
      expect(actions).toContain(action);
    const { Location } = resourceOf(control, 'AWS::CodeBuild::Project', 'Buildsimage').Properties['Source'] as {
      Location: unknown;
    };
    const objects = Statement.filter(({ Action }) => listOf(Action).includes('s3:GetObject'));
    expect(
      objects
        .flatMap(({ Resource }) => listOf(Resource))
        .some((one) => matches(text(one), `arn:aws:s3:::${text(Location)}`)),
    ).toBe(true);
  });
});

describe('the events that are asked for', () => {
  type Pattern = Readonly<Record<string, unknown>>;
  const rules = () =>
    resourcesOf(control, 'AWS::Events::Rule').flatMap(([id, { Properties }]) => {
      const pattern = Properties['EventPattern'] as Pattern | undefined;
      return pattern ? [{ id, pattern }] : [];
    });

  /** As EventBridge matches, as far as we use it. */
  function fits(pattern: unknown, event: unknown): boolean {
    if (Array.isArray(pattern)) return listOf(event).some((value) => pattern.some((one) => fitsOne(one, value)));
    return Object.entries(pattern as Pattern).every(([name, inner]) =>
      fits(inner, (event as Readonly<Record<string, unknown>> | undefined)?.[name]),
    );
  }
  function fitsOne(one: unknown, value: unknown): boolean {
    const { prefix, wildcard } = one as { prefix?: string; wildcard?: unknown };
    if (prefix !== undefined) return String(value).startsWith(prefix);
    if (wildcard !== undefined) return matches(text(wildcard), String(value));
    return text(one) === value;
  }

  const spec = { buildId: '0198a8a4-0000-7000-8000-000000000001' };
  const happenings: readonly (readonly [string, object, string])[] = [
    ['a deployment that completed', deploymentEvent(), 'service'],
    ['a deployment that failed', deploymentEvent('SERVICE_DEPLOYMENT_FAILED'), 'service'],
    ['a service that is steady', serviceActionEvent(), 'service'],
    ['a task that runs', taskEvent(), 'service'],
    ['an execution that failed', executionEvent('e', 'FAILED'), 'execution'],
    ['an execution that took too long', executionEvent('e', 'TIMED_OUT'), 'execution'],
    ['an execution that was stopped', executionEvent('e', 'ABORTED'), 'execution'],
    ...buildKinds.map(
      (kind) => [`a build of ${kind}`, buildEvent(spec, { project: `sluice-build-${kind}` }), 'build'] as const,
    ),
  ];

  it.each(happenings)('%s comes by one rule, and is understood', async (_name, event, kind) => {
    expect(rules().filter(({ pattern }) => fits(pattern, event))).toHaveLength(1);
    const outcome = await parseEvent['~standard'].validate(event);
    expect(outcome).toMatchObject({ value: { kind } });
  });

  it('come by no rule that none of them fits', () => {
    const unused = rules().filter(({ pattern }) => !happenings.some(([, event]) => fits(pattern, event)));
    expect(unused).toEqual([]);
  });

  it.each([
    ['another installation’s build', buildEvent(spec, { project: 'sluice-test-build-image' })],
    ['a task that was run once', taskEvent('family:nightly')],
    ['an execution that runs', executionEvent('e', 'RUNNING')],
    ['an execution that ended well', executionEvent('e', 'SUCCEEDED')],
  ])('%s does not come', (_name, event) => {
    expect(rules().filter(({ pattern }) => fits(pattern, event))).toEqual([]);
  });

  it('of a build are known as ours by the names of the projects that are made', () => {
    for (const [, { Properties }] of resourcesOf(control, 'AWS::CodeBuild::Project')) {
      const { detail } = buildEvent(spec, { project: String(Properties['Name']) });
      expect(parseBuildEvent('sluice', { detail, at: 0 })?.buildId).toBe(spec.buildId);
    }
  });

  it('are still those of the cluster that is named', () => {
    const [service] = resourcesOf(configured, 'AWS::Events::Rule').filter(([id]) =>
      id.startsWith('EventsServiceDeployments'),
    );
    const pattern = propertiesOf(service?.[1])['EventPattern'];
    expect(fits(pattern, deploymentEvent())).toBe(true);
    expect(fits(pattern, { ...deploymentEvent(), resources: [arn('ecs', 'service/mainly/web-dev')] })).toBe(false);
  });
});

describe('the environment', () => {
  it.each(functionNames)('of %s is what its code takes', (name) => {
    const functions = resourcesOf(control, 'AWS::Lambda::Function').map(([, { Properties }]) => Properties);
    const found = functions.find(({ Handler }) => Handler === `${name}.handler`);
    const { Variables } = (found ?? {})['Environment'] as { Variables: Readonly<Record<string, unknown>> };
    // A name that AWS makes up at the installation stands as one here.
    const resolved = Object.fromEntries(
      Object.entries(Variables).map(([key, value]) => [
        key,
        text(value).replace(/^<(\w+)>$/, (_all, id: string) => id.toLowerCase()),
      ]),
    );
    expect(parseEnvironment(resolved)).toMatchObject({
      prefix: 'sluice',
      stateMachineArn: arn('states', 'stateMachine:sluice-deploy'),
      jobMachineArn: arn('states', 'stateMachine:sluice-jobs'),
      limits: defaultLimits,
      oidc: defaultOidc,
    });
  });

  it('has the limits and the issuer that the configuration sets, as the code takes them', () => {
    const limits = { objectBytes: 1, buildBytes: 2, buildObjects: 3, appBytes: 4, requestsPerMinute: 5 };
    const oidc = { issuer: 'https://ci.example.com', audience: 'deploys' };
    const { Variables } = resourceOf(templateOf({ ...place, limits, oidc }), 'AWS::Lambda::Function', 'FunctionsApi')
      .Properties['Environment'] as { Variables: Readonly<Record<string, string>> };
    const needed = { SLUICE_TABLE: 'table', SLUICE_BUCKET: 'bucket', SLUICE_PREFIX: 'sluice' };
    const machine = arn('states', 'stateMachine:sluice-deploy');
    const machines = { SLUICE_STATE_MACHINE_ARN: machine, SLUICE_JOB_MACHINE_ARN: machine };
    expect(parseEnvironment({ ...Variables, ...needed, ...machines })).toMatchObject({ limits, oidc });
  });

  const agent = read('buildspecs/aws-agent.ts');
  const needed = [...agent.matchAll(/required\('(\w+)'\)/g)].map(([, name]) => name);
  const given = (kind: string, template = control) => {
    const { Environment } = resourceOf(template, 'AWS::CodeBuild::Project', `Builds${kind}`).Properties as {
      Environment: { EnvironmentVariables: { Name: string; Value: unknown }[] };
    };
    return new Map(Environment.EnvironmentVariables.map(({ Name, Value }) => [Name, text(Value)]));
  };
  /** What the definition adds for each build. */
  const overriddenBy = (machine: string) =>
    [...read(`functions/workflow/${machine}.asl.json`).matchAll(/"Name": "(SLUICE_\w+)"/g)].map(([, name]) => name);

  it.each(buildKinds)('of a build of %s is what the agent and its buildspec ask for, and no more', (kind) => {
    const asked = [...read(`buildspecs/${kind}.yml`).matchAll(/\$(SLUICE_\w+)/g)].map(([, name]) => name);
    const made = ['SLUICE_RESULT', 'SLUICE_REASON'];
    const wanted = new Set([...needed, ...asked].filter((name) => !made.includes(name ?? '')));
    expect(needed.length).toBeGreaterThan(4);
    const overridden = overriddenBy(kind === 'check' ? 'job' : 'deploy');
    expect(new Set([...given(kind).keys(), ...overridden])).toEqual(wanted);
    expect(given(kind).get('SLUICE_REGISTRY')).toBe(`${place.account}.dkr.ecr.${place.region}.<AWS::URLSuffix>`);
  });

  it('of a build names the images that the configuration names, by what the agent asks for', () => {
    const variables = given('image', configured);
    expect(variables.get('SLUICE_BUILDKIT_IMAGE')).toBe('mirror/buildkit:v1');
    expect(variables.get('SLUICE_SBOM_SCANNER')).toBe('none');
    for (const name of ['SLUICE_BUILDKIT_IMAGE', 'SLUICE_SBOM_SCANNER']) expect(agent).toContain(`env['${name}']`);
  });
});

describe('an app’s stack', () => {
  const builds = () => role(team, 'HelloImageAppBuildRole');

  it('makes the role that the definition starts builds as, and that may be passed on and assumed', () => {
    const { Path, RoleName, ManagedPolicyArns } = builds().Properties;
    const { DefinitionSubstitutions } = resourceOf(control, 'AWS::StepFunctions::StateMachine', 'Deploy')
      .Properties as {
      DefinitionSubstitutions: { BuildRolePrefix: unknown };
    };
    const started = `${text(DefinitionSubstitutions.BuildRolePrefix)}hello-image`;
    expect(started).toBe(`arn:aws:iam::${place.account}:role${String(Path)}${String(RoleName)}`);
    const context = { 'iam:PassedToService': 'codebuild.amazonaws.com' };
    for (const machine of ['DeployRole', 'JobsRole'])
      expect(allowed(role(control, machine), { action: 'iam:PassRole', resource: started, context })).toBe(true);
    const [, every] = resourcesOf(control, 'AWS::IAM::ManagedPolicy')[0] ?? [];
    expect((ManagedPolicyArns as unknown[]).map(text)).toEqual([
      `arn:aws:iam::${place.account}:policy/${String(propertiesOf(every)['ManagedPolicyName'])}`,
    ]);
    const trusted = trustOf(builds()).Condition?.['StringEquals']?.['aws:SourceArn'] as unknown[];
    const projects = resourcesOf(control, 'AWS::CodeBuild::Project').map(([, { Properties }]) => Properties['Name']);
    expect(trusted.map(text).sort()).toEqual(
      projects.map((name) => arn('codebuild', `project/${String(name)}`)).sort(),
    );
  });

  it('finds the bucket by the parameter that the installation writes', () => {
    const [, parameter] = resourcesOf(control, 'AWS::SSM::Parameter')[0] ?? [];
    const asked = Object.values(team.toJSON()['Parameters'] as Record<string, { Type: string; Default: unknown }>)
      .filter(({ Type }) => Type === 'AWS::SSM::Parameter::Value<String>')
      .map(({ Default }) => Default);
    expect(asked).toContain(propertiesOf(parameter)['Name']);
    expect(asked.filter((name) => !String(name).startsWith('/cdk-bootstrap/'))).toHaveLength(1);
  });

  it('logs where the API may read, in streams that it finds by the container’s name', () => {
    for (const [, { Properties }] of resourcesOf(team, 'AWS::ECS::TaskDefinition')) {
      const [container] = Properties['ContainerDefinitions'] as {
        Name: string;
        LogConfiguration: { LogDriver: string; Options: Record<string, unknown> };
      }[];
      const { LogDriver: logDriver, Options } = container?.LogConfiguration ?? { LogDriver: '', Options: {} };
      const app = container?.Name ?? '';
      const target = { name: 'web', cluster: 'c', service: 's', desiredCount: 1, wave: 0 };
      const groups = Object.fromEntries(
        resourcesOf(team, 'AWS::Logs::LogGroup').map(([id, { Properties }]) => [
          `<${id}>`,
          String(Properties['LogGroupName']),
        ]),
      );
      const options = { ...Options, 'awslogs-group': groups[text(Options['awslogs-group'])] ?? '' } as Record<
        string,
        string
      >;
      const definition = {
        containerDefinitions: [{ name: app, logConfiguration: { logDriver: logDriver as 'awslogs', options } }],
      };
      const found = logPlaceOf(definition, containerNameOf({ app, target }));
      expect(found).toEqual({ group: `/sluice/task/${app}/dev/web`, streams: `task/${app}/` });
      const call = { action: 'logs:FilterLogEvents', resource: arn('logs', `log-group:${found?.group ?? ''}:*`) };
      expect(allowed(role(control, 'FunctionsapiRole'), call)).toBe(true);
    }
  });

  it('of builds logs where the API may read', () => {
    for (const [, { Properties }] of resourcesOf(control, 'AWS::CodeBuild::Project')) {
      const { CloudWatchLogs } = Properties['LogsConfig'] as { CloudWatchLogs: { GroupName: { Ref: string } } };
      const group = resourceOf(control, 'AWS::Logs::LogGroup', CloudWatchLogs.GroupName.Ref).Properties['LogGroupName'];
      const resource = arn('logs', `log-group:${String(group)}:log-stream:8745a7a9`);
      expect(allowed(role(control, 'FunctionsapiRole'), { action: 'logs:GetLogEvents', resource })).toBe(true);
    }
  });

  it.each(['image', 'bundle'])('has the service and cluster that examples/hello/app.aws-%s.json names', (kind) => {
    const file = JSON.parse(read(`examples/hello/app.aws-${kind}.json`)) as object;
    const app = parseApp(file, policy);
    const [target] = app.environments[0]?.targets ?? [];
    const [cluster] = resourcesOf(team, 'AWS::ECS::Cluster').map(([, { Properties }]) => Properties['ClusterName']);
    const service = resourceOf(team, 'AWS::ECS::Service', `Hello${kind === 'image' ? 'Image' : 'Bundle'}`).Properties;
    expect(target).toMatchObject({ cluster, service: service['ServiceName'] });
    const [front] = service['LoadBalancers'] as { ContainerName: string; ContainerPort: number }[];
    expect(front?.ContainerPort).toBe(app.runtime.port);
    expect(containerNameOf({ app: `hello-${kind}`, target: target as never })).toBe(front?.ContainerName);
  });
});

describe('what a build asks of the bucket', () => {
  let s3: ScriptedS3;
  beforeAll(async () => {
    s3 = await scriptedS3('artifacts');
  });
  afterAll(async () => await s3.close());

  /** What IAM is asked for a call. https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html */
  function permissionOf({ operation, input }: ScriptedS3['asked'][number]): Call {
    const { Key, IfNoneMatch } = input as { Key: string; IfNoneMatch?: string };
    const action =
      { AbortMultipartUpload: 's3:AbortMultipartUpload', HeadObject: 's3:GetObject', GetObject: 's3:GetObject' }[
        operation
      ] ?? 's3:PutObject';
    const context = {
      ...(IfNoneMatch === undefined ? {} : { 's3:if-none-match': IfNoneMatch }),
      's3:ObjectCreationOperation': String(['PutObject', 'CompleteMultipartUpload'].includes(operation)),
    };
    return { action, resource: `arn:aws:s3:::<bucket>/${Key}`, context };
  }

  it('its app’s role allows, for a bundle that is small, large, or there already, and for host keys', async () => {
    const objects = writeObjects({ client: s3.client, bucket: 'artifacts' });
    const put = async (bytes: Buffer) =>
      await objects.put(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, [bytes] as never);
    const small = Buffer.from('small');
    const large = Buffer.alloc(9 * 1024 ** 2, 1);
    for (const bytes of [small, large, small, large]) await put(bytes);
    const keys = rememberedHostKeys({ client: s3.client, bucket: 'artifacts', key: knownHostsKey('hello-image') });
    await keys.write('host ssh-ed25519 AAAA\n', await keys.read());
    const operations = new Set(s3.asked.map(({ operation }) => operation));
    expect([...operations].sort()).toEqual([
      'AbortMultipartUpload',
      'CompleteMultipartUpload',
      'CreateMultipartUpload',
      'GetObject',
      'HeadObject',
      'PutObject',
      'UploadPart',
    ]);
    const statements = statementsOf(role(team, 'HelloImageAppBuildRole')).map((one) => ({
      ...one,
      Resource: listOf(one.Resource).map((resource) => text(resource).replace(/:::<[^>]+>\//, ':::<bucket>/')),
    }));
    const refused = s3.asked.map(permissionOf).filter((call) => !allows(statements, call));
    expect(refused).toEqual([]);
  });
});
