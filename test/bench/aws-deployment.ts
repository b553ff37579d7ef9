import { dollarsOf, idleCall, type CostLine, type Template } from '../../infra/cost.ts';
import { findDeployment } from '../../functions/deployments/store.ts';
import { stackTemplate } from '../../scripts/stack-template.ts';
import { awsCloud, type AwsCloud, type FunctionName } from '../support/aws-cloud.ts';

/**
 * What one deployment asks of AWS, from GitHub's push to the lane that is free again: counted on the scripted AWS, with
 * the very code of the control plane, under a clock of its own. A build takes 5 minutes; each service has two tasks, of
 * which a new one serves after 60 s and an old one drains for 80 s, so that a rollout takes 3 minutes and 20 seconds;
 * all services roll at once. Every event that EventBridge would pass on comes once, each by itself: the dearest way, as
 * those that come together wake only once.
 */
export type AwsDeployment = {
  readonly targets: number;
  readonly seconds: number;
  /** What the functions asked, by service and operation. */
  readonly calls: ReadonlyMap<string, number>;
  readonly transitions: number;
  readonly invocations: Readonly<Record<FunctionName, number>>;
  readonly events: number;
  readonly units: { readonly read: number; readonly write: number };
  /** What it costs besides the build. */
  readonly costs: readonly CostLine[];
};

/** What was not measured on AWS, and is taken to be so. */
export const assumed = {
  buildMinutes: 5,
  /** A function's own time, and for each call that it makes, one after the other: in truth many are made at once. */
  millisecondsOfFunction: 50,
  millisecondsOfCall: 25,
  /** Each of the three functions starts cold once. */
  millisecondsOfColdStart: 600,
  /** Step Functions logs some 5 events a transition, without their data. */
  logBytesOfTransition: 5 * 500,
  logBytesOfRequest: 500,
} as const;

const stepSeconds = 20;
/** What may be otherwise: how many services, how many tasks each, and over how many steps an old task drains. */
export type Deployed = { readonly targets: number; readonly tasks?: number; readonly drainSteps?: number };
const commit = 'c'.repeat(40);

export async function countAwsDeployment(
  { targets, tasks = 2, drainSteps = 4 }: Deployed,
  template: Template,
): Promise<AwsDeployment> {
  const names = Array.from({ length: targets }, (_, at) => `service-${at + 1}`);
  const services = Object.fromEntries(names.map((name) => [name, tasks]));
  const cloud = await awsCloud({
    services,
    buildSeconds: assumed.buildMinutes * 60,
    ecs: { stepSeconds, drainSteps },
  });
  try {
    await cloud.apply(appOf(names));
    // Whatever a function keeps for a minute is read anew.
    const later = cloud.time.now() + 61_000;
    await cloud.until(() => cloud.time.now() > later);
    cloud.forget();
    const began = cloud.time.now();
    const { body } = (await cloud.push(commit)) as { body: { deployments: [{ id: string }] } };
    await untilSettled(cloud, body.deployments[0].id);
    return {
      targets,
      seconds: (cloud.time.now() - began) / 1000,
      calls: callsOf(cloud),
      transitions: cloud.machine.transitions(),
      invocations: { ...cloud.invocations },
      events: cloud.events.length,
      units: { ...cloud.units },
      costs: costsOf(cloud, template),
    };
  } finally {
    await cloud.close();
  }
}

export async function benchAwsDeployment(): Promise<readonly string[]> {
  const template = await stackTemplate();
  const three = await countAwsDeployment({ targets: 3 }, template);
  const grown: AwsDeployment[] = [];
  for (const targets of [1, 10, 40]) grown.push(await countAwsDeployment({ targets }, template));
  const crowded = await countAwsDeployment({ targets: 3, tasks: 10 }, template);
  const slow = await countAwsDeployment({ targets: 3, drainSteps: 15 }, template);
  return [
    ...toldDeployment(three),
    `  with ten tasks a service ${toldCost(crowded)}; with old tasks that drain for 300 s ${toldCost(slow)}`,
    ...toldGrowth(grown),
  ];
}

function toldDeployment({ seconds, calls, transitions, invocations, events, units, costs }: AwsDeployment) {
  const dollars = dollarsOf(costs);
  const build = dollarsOf([{ what: '', count: assumed.buildMinutes, price: 'mediumBuildMinute' }]);
  const ran = Object.entries(invocations).map(([name, count]) => `${name} ${count}`);
  return [
    `one deployment on AWS: three services of two tasks each, ${seconds} s from the push to its end, the build's ${assumed.buildMinutes * 60} s among them`,
    `  ${transitions} state transitions; functions called: ${ran.join(', ')}; ${events} events; ${units.write} write and ${units.read} read units of DynamoDB`,
    `  ${sum([...calls.values()])} calls: ${[...calls].map(([name, count]) => `${name} ${count}`).join(', ')}`,
    ...costs.map((line) => `  ${dollarText(dollarsOf([line]))} ${line.what}`),
    `  ours ${dollarText(dollars)}, the build's own ${dollarText(build)}, ratio ${(dollars / build).toFixed(2)}  (goal ours ≤ $0.005: ${dollars <= 0.005 ? 'met' : 'missed'})`,
  ];
}

const toldCost = ({ transitions, costs }: AwsDeployment): string =>
  `${transitions} state transitions, ours ${dollarText(dollarsOf(costs))}`;

/** Per target, and against the one before: what grows faster than the targets is told by a ratio above 1. */
function toldGrowth(grown: readonly AwsDeployment[]): readonly string[] {
  const figures = {
    'calls a target': ({ calls, targets }: AwsDeployment) => sum([...calls.values()]) / targets,
    'state transitions a target': ({ transitions, targets }: AwsDeployment) => transitions / targets,
    'write units of DynamoDB a target': ({ units, targets }: AwsDeployment) => units.write / targets,
    'dollars a target': ({ costs, targets }: AwsDeployment) => dollarsOf(costs) / targets,
  };
  const targets = grown.map((one) => one.targets);
  return Object.entries(figures).map(([name, figure]) => {
    const values = grown.map(figure);
    const ratio = (values.at(-1) ?? NaN) / (values.at(-2) ?? NaN);
    const shown = values.map((value) => (value < 1 ? value.toFixed(5) : value.toFixed(1)));
    return `${name}, with ${targets.join(', ')} targets\n  ${shown.join(', ')}; ${targets.at(-1)} against ${targets.at(-2)}: ratio ${ratio.toFixed(2)}`;
  });
}

/** By service and operation, the most frequent first. What a test does by itself was asked by no function. */
function callsOf({ asked }: AwsCloud): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { service, operation, by } of asked) {
    if (!by) continue;
    const name = `${service.replace('Elastic Load Balancing v2', 'ELB')} ${operation}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return new Map([...counts].sort(([, one], [, other]) => other - one));
}

/** AWS charges nothing for its own events and their delivery, nor for calls of ECS, load balancers and CodeBuild. */
function costsOf(cloud: AwsCloud, template: Template): readonly CostLine[] {
  const { invocations, units } = cloud;
  const transitions = cloud.machine.transitions();
  const functions = Object.entries(invocations) as [FunctionName, number][];
  const calls = sum(Object.values(invocations));
  const logBytes =
    calls * idleCall.logBytes +
    sum(cloud.logged.map((line) => Buffer.byteLength(line))) +
    transitions * assumed.logBytesOfTransition +
    invocations.api * assumed.logBytesOfRequest;
  const traced = functions.filter(([name]) => isTraced(functionOf(template, name)));
  return [
    { what: 'state transitions', count: transitions, price: 'transition' },
    { what: 'DynamoDB, writing', count: units.write, price: 'writeUnit' },
    { what: 'DynamoDB, reading', count: units.read, price: 'readUnit' },
    {
      what: 'functions, time',
      count: sum(functions.map((one) => gigabyteSeconds(cloud, template, one))),
      price: 'lambdaArm',
    },
    { what: 'functions, calls', count: calls, price: 'lambdaCall' },
    { what: 'logs', count: logBytes, price: 'logByte' },
    // The steps are part of their execution's trace.
    {
      what: 'traces',
      count: 1 + sum(traced.map(([name, count]) => (name === 'workflow' ? 0 : count))),
      price: 'trace',
    },
    {
      what: 'secrets read',
      count: cloud.asked.filter(({ service }) => service === 'Secrets Manager').length,
      price: 'secretCall',
    },
    { what: 'HTTP requests', count: invocations.api, price: 'httpRequest' },
  ];
}

type Resource = Template['Resources'][string];

function functionOf({ Resources }: Template, name: FunctionName): Resource {
  const handler = `${name}.handler`;
  const found = Object.values(Resources).find(({ Properties }) => Properties?.['Handler'] === handler);
  if (!found) throw new Error(`The stack has no function ${name}`);
  return found;
}

function isTraced({ Properties = {} }: Resource): boolean {
  return JSON.stringify(Properties['TracingConfig'] ?? {}).includes('Active');
}

function gigabyteSeconds(
  { asked }: AwsCloud,
  template: Template,
  [name, count]: readonly [FunctionName, number],
): number {
  const { millisecondsOfCall, millisecondsOfColdStart, millisecondsOfFunction } = assumed;
  const calls = asked.filter(({ by }) => by === name).length;
  const milliseconds = millisecondsOfColdStart + count * millisecondsOfFunction + calls * millisecondsOfCall;
  return (milliseconds / 1000) * (Number(functionOf(template, name).Properties?.['MemorySize']) / 1024);
}

function appOf(names: readonly string[]) {
  return {
    source: { repoUrl: 'https://github.com/acme/web' },
    build: { kind: 'image' as const },
    environments: [
      {
        name: 'dev',
        branch: 'main',
        targets: names.map((name) => ({ name, cluster: 'main', service: name, container: 'web' })),
      },
    ],
  };
}

async function untilSettled(cloud: AwsCloud, id: string): Promise<void> {
  const find = async () => await findDeployment(cloud.ports.records, id);
  await cloud.until(async () => (await find())?.settled === true);
  const end = (await find())?.state;
  if (end?.status !== 'succeeded') throw new Error(`Expected it to succeed: ${JSON.stringify(end)}`);
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
const dollarText = (dollars: number): string => `$${dollars.toFixed(6)}`;
