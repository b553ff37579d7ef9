import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes, randomUUID } from 'node:crypto';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { CodeBuildClient } from '@aws-sdk/client-codebuild';
import { SFNClient } from '@aws-sdk/client-sfn';
import { createApi } from '../../functions/api/app.ts';
import type { AppInput } from '../../functions/apps/schema.ts';
import { quickCalls, slowCalls } from '../../functions/aws/client.ts';
import { dynamoRecords } from '../../functions/aws/records.ts';
import { reconcile } from '../../functions/deployments/reconcile.ts';
import { eventHandler } from '../../functions/lambda/event-handler.ts';
import { cloudWatchMetrics, embeddedMetrics } from '../../functions/lambda/metrics.ts';
import { stepHandler } from '../../functions/lambda/step-handler.ts';
import {
  adminTokenSecret,
  buildProjectPrefix,
  jobMachineName,
  stateMachineName,
  webhookSecretSecret,
} from '../../functions/runtime/aws-names.ts';
import type { OutgoingRequest } from '../../functions/ports/ports.ts';
import type { Log } from '../../functions/runtime/log.ts';
import { readDefinition } from '../../local/workflow.ts';
import { buildEvent, ecsEvents, executionEvent } from './aws-events.ts';
import { stackDefinition } from './aws-fleet.ts';
import { awsPorts } from './aws-ports.ts';
import { countedDynamo } from './counted-records.ts';
import { signedPush } from './github-push.ts';
import { scriptAws, testAwsConfig, type AwsScript } from './scripted-aws.ts';
import { scriptedCodeBuild, scriptedPrefix as prefix } from './scripted-codebuild.ts';
import { scriptedEcs } from './scripted-ecs.ts';
import { scriptedS3 } from './scripted-s3.ts';
import { scriptedSecretsManager } from './scripted-secrets-manager.ts';
import { scriptedStateMachine, type StateMachineOptions } from './state-machine.ts';
import { imageOf, runBuild, timedBuilds } from './timed-builds.ts';
import { virtualTime } from './virtual-time.ts';

type Json = Readonly<Record<string, unknown>>;
export type FunctionName = 'api' | 'workflow' | 'events' | 'reconcile';
/** What was asked of AWS, and by which function. */
export type Asked = {
  readonly service: string;
  readonly operation: string;
  readonly input: unknown;
  readonly by: FunctionName | undefined;
};

export type AwsCloudOptions = {
  /** Every service by its name, with how many tasks it keeps; default: one, two and three with two each. */
  readonly services?: Readonly<Record<string, number>>;
  /** How long a build takes; default 300. */
  readonly buildSeconds?: number;
  /** How long ECS takes from one step of a task to the next, and over how many of them a task drains. */
  readonly ecs?: { readonly stepSeconds: number; readonly drainSteps: number };
  /** How often EventBridge tells each event; default 1. */
  readonly eventsTold?: number;
};

const arnOf = (machine: string) => `arn:aws:states:${testAwsConfig.region}:123456789012:stateMachine:${machine}`;
const machineArn = arnOf(stateMachineName(prefix));
const jobMachineArn = arnOf(jobMachineName(prefix));
export const adminToken = 'marked-admin-token-of-these-tests';
export const webhookSecret = 'marked-webhook-secret-of-these-tests';

/**
 * The whole control plane as it is installed on AWS: its four functions over the adapters of all six ports, on an AWS
 * whose every service is scripted, under one clock that passes when nothing else can happen. Not asked here is what the
 * functions' own entry files do: they read the environment and make clients of it.
 */
export async function awsCloud(options: AwsCloudOptions = {}) {
  const { buildSeconds = 300, ecs: pace = { stepSeconds: 10, drainSteps: 1 } } = options;
  const { services = { one: 2, two: 2, three: 2 } } = options;
  const asked: Asked[] = [];
  const invocations: Record<FunctionName, number> = { api: 0, workflow: 0, events: 0, reconcile: 0 };
  const events: Json[] = [];
  const logged: string[] = [];
  /** What hooks were called with. */
  const sent: OutgoingRequest[] = [];

  const running = new AsyncLocalStorage<FunctionName>();
  const ecs = scriptedEcs();
  const { world } = ecs;
  const time = virtualTime({ now: world.now, pass: world.wait });
  const clock = time.now;
  const [s3, dynamo] = await Promise.all([
    scriptedS3(),
    countedDynamo({ tableName: 'records', onCall: (operation, input) => note('DynamoDB', operation, input) }),
  ]);
  const secretsManager = scriptedSecretsManager();
  const builds = timedBuilds({ time, seconds: buildSeconds });
  const codeBuild = scriptedCodeBuild(builds.work);
  const ofMachines = {
    time,
    invoke: async (payload) => await invoke('workflow', async () => await steps(payload)),
    build: async (input) =>
      await runBuild(input, {
        client: stepBuilds,
        builds,
        time,
        onChange: (build) => emit(buildEvent(build, clock())),
      }),
  } as const satisfies Partial<StateMachineOptions>;
  const machine = scriptedStateMachine({
    arn: machineArn,
    definition: await definitionOf('deploy'),
    ...ofMachines,
    onEnd: ({ arn, status, startedAt }) => {
      if (status !== 'SUCCEEDED') emit(executionEvent({ arn, status, startedAt, at: clock() }));
    },
  });

  const jobs = scriptedStateMachine({ arn: jobMachineArn, definition: await definitionOf('job'), ...ofMachines });
  const script: AwsScript = (operation, input: { stateMachineArn?: string; executionArn?: string }) => {
    const arn = input.stateMachineArn ?? input.executionArn?.replace(':execution:', ':stateMachine:') ?? '';
    // A token is answered by the machine of deployments: jobs wait for none.
    return (arn.startsWith(jobMachineArn) ? jobs : machine).script(operation, input);
  };

  const sfn = watched(scriptAws(new SFNClient({ ...slowCalls, ...testAwsConfig }), script));
  const codeBuildClient = watched(scriptAws(new CodeBuildClient({ ...slowCalls, ...testAwsConfig }), codeBuild.script));
  const buildLogs = watched(scriptAws(new CloudWatchLogsClient({ ...quickCalls, ...testAwsConfig }), codeBuild.script));
  /** What Step Functions itself asks of CodeBuild. */
  const stepBuilds = scriptAws(new CodeBuildClient({ ...slowCalls, ...testAwsConfig }), codeBuild.script);
  for (const client of [ecs.ecr, ecs.ecs, ecs.loadBalancing, ecs.logs, s3.client, secretsManager.client])
    watched(client);

  function note(service: string, operation: string, input: unknown): void {
    asked.push({ service, operation, input, by: running.getStore() });
  }

  /** Notes what a client is asked, once however often the SDK repeats it. */
  function watched<Client extends Watchable>(client: Client): Client {
    client.middlewareStack.add(
      (next: Next, { commandName = '' }: { commandName?: string }) =>
        async (args: { readonly input: object }) => {
          note(client.config.serviceId ?? '', commandName.replace(/Command$/, ''), args.input);
          return await next(args);
        },
      { step: 'initialize', name: 'watched' },
    );
    return client;
  }

  /** Runs one of the functions, which is at work until it has answered. */
  async function invoke<T>(name: FunctionName, run: () => Promise<T>): Promise<T> {
    invocations[name] += 1;
    return await time.work(async () => await running.run(name, run));
  }

  const records = dynamoRecords({ calls: dynamo.calls, tableName: 'records', clock });
  const metrics = cloudWatchMetrics(embeddedMetrics({ prefix, clock, write: (line) => void logged.push(line) }));
  const ports = awsPorts({
    records,
    clock,
    log: collectingLog(logged),
    metrics,
    prefix,
    bucket: s3.bucket,
    stateMachineArn: machineArn,
    jobMachineArn,
    sfn,
    secretsManager: secretsManager.client,
    codeBuild: codeBuildClient,
    buildLogs,
    ecr: ecs.ecr,
    ecs: ecs.ecs,
    loadBalancing: ecs.loadBalancing,
    taskLogs: ecs.logs,
    s3: s3.client,
    send: async (request) => {
      sent.push(request);
      return { status: 204 };
    },
  });
  const steps = stepHandler(ports.workflow);
  const takeEvent = eventHandler(ports.events, { prefix });
  const api = createApi({
    ports: ports.api,
    credentials: ports.credentials,
    version: 'test',
    metrics,
    randomBytes: (count) => randomBytes(count),
    https: true,
  });

  /** Brings an event to its function, after whatever is at work. */
  function emit(event: Json): void {
    for (let told = 0; told < (options.eventsTold ?? 1); told += 1) {
      time.after(0, () => {
        events.push(event);
        void invoke('events', async () => await takeEvent(JSON.parse(JSON.stringify(event))));
      });
    }
  }

  function everySeconds(seconds: number, run: () => void): void {
    time.after(seconds * 1000, () => {
      run();
      everySeconds(seconds, run);
    });
  }

  // What the stacks have made: the control plane's own secrets, and a service of the app for each target.
  world.settings.tickMs = 0;
  world.settings.drainTicks = pace.drainSteps;
  const brokenImages = new Set<string>();
  world.settings.behaviour = ({ containerDefinitions = [] }) =>
    containerDefinitions.some(({ image = '' }) => brokenImages.has(image)) ? 'exits' : 'healthy';
  for (const [name, value] of [
    [adminTokenSecret, adminToken],
    [webhookSecretSecret, webhookSecret],
  ] as const)
    await ports.api.secrets.write(name, value);
  const simulated = Object.fromEntries(
    Object.entries(services).map(([name, desired]) => {
      const { definition: made } = world.register(
        stackDefinition({ family: name, tags: [{ key: 'sluice:managed', value: prefix }] }),
      );
      const tags = [
        { key: 'sluice:managed', value: prefix },
        { key: 'sluice:app', value: 'web' },
        { key: 'sluice:environment', value: 'dev' },
      ];
      const service = { name, cluster: 'main', tags, desired, definition: made.taskDefinitionArn ?? '' };
      return [name, world.addService(service)];
    }),
  );
  const changes = ecsEvents(world);
  everySeconds(pace.stepSeconds, () => {
    world.tick();
    for (const event of changes.next()) emit(event);
  });
  everySeconds(60, () => void invoke('reconcile', async () => void (await reconcile(ports.reconcile))));
  await time.idle();
  /** What is counted is counted from here. */
  const forget = () => {
    asked.length = 0;
    events.length = 0;
    logged.length = 0;
    machine.entered.clear();
    jobs.entered.clear();
    Object.assign(dynamo.units, { read: 0, write: 0 });
    for (const name of Object.keys(invocations) as FunctionName[]) invocations[name] = 0;
  };
  forget();

  const request = async (
    method: string,
    path: string,
    sent: { body?: unknown; headers?: Record<string, string> } = {},
  ) => {
    const response = await invoke(
      'api',
      async () =>
        await api.request(path, {
          method,
          headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json', ...sent.headers },
          ...(sent.body === undefined
            ? {}
            : { body: typeof sent.body === 'string' ? sent.body : JSON.stringify(sent.body) }),
        }),
    );
    const text = await response.text();
    // oxlint-disable-next-line typescript/no-explicit-any -- each path has its own answer, which tests look into
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  };

  return {
    world,
    time,
    asked,
    invocations,
    events,
    logged,
    units: dynamo.units,
    largestRecord: dynamo.largest,
    machine,
    jobs,
    sent,
    objects: s3,
    codeBuild,
    builds,
    secretsManager,
    services: simulated,
    ports: ports.workflow,
    request,
    forget,
    /** What runs after a commit's build; it exits at its start. */
    breaks: (commit: string) => void brokenImages.add(imageOf('web', commit)),
    async apply(app: AppInput): Promise<void> {
      const { status, body } = await request('PUT', '/api/v1/apps/web', { body: app });
      if (status >= 300) throw new Error(`The app was refused: ${JSON.stringify(body)}`);
    },
    /** A push as GitHub tells of it, signed. */
    async push(commit: string, delivery: string = randomUUID()) {
      const pushedAt = Math.floor(clock() / 1000);
      return await request(
        'POST',
        '/webhooks/github',
        signedPush({ commit, pushedAt, delivery, secret: webhookSecret }),
      );
    },
    /** Lets time pass until it is so; a day at most. */
    async until(isSo: () => boolean | Promise<boolean>): Promise<void> {
      const limit = clock() + 86_400_000;
      await time.idle();
      while (!(await isSo())) {
        await time.step();
        if (clock() > limit) throw new Error('It did not come to it in a day');
      }
    },
    async close(): Promise<void> {
      time.cancelAll();
      await Promise.all([machine.close(), jobs.close()]);
      await time.idle();
      await Promise.all([dynamo.close(), s3.close()]);
    },
  };
}

export type AwsCloud = Awaited<ReturnType<typeof awsCloud>>;

type Next = (args: { readonly input: object }) => Promise<unknown>;
type Watchable = {
  readonly config: { serviceId?: string };
  // The stack's own type differs by client; what is added looks the same to each.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly middlewareStack: { add(middleware: any, options: any): void };
};

/** A definition as the stack installs it, as far as it matters here: with the names of the build projects. */
async function definitionOf(machine: 'deploy' | 'job'): Promise<StateMachineOptions['definition']> {
  const definition = await readDefinition(new URL(`../../functions/workflow/${machine}.asl.json`, import.meta.url));
  const text = JSON.stringify(definition).replaceAll("'sluice-{}'", `'${buildProjectPrefix(prefix)}-{}'`);
  return JSON.parse(text) as typeof definition;
}

/** Keeps all that is said, and masks nothing: what is not said at all needs no mask. */
function collectingLog(lines: string[]): Log {
  const say = (message: string, fields: object = {}) => void lines.push(JSON.stringify({ message, ...fields }));
  const log: Log = { debug: say, info: say, warn: say, error: say, with: () => log };
  return log;
}
