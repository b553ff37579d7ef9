import type { ISecurityGroup, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import type { Cluster, ICluster } from 'aws-cdk-lib/aws-ecs';
import type { ApplicationListener, IApplicationListener } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Token } from 'aws-cdk-lib';
import type { Health } from '../functions/apps/schema.ts';
import { prefixPattern } from '../functions/runtime/aws-names.ts';
import { Problem } from '../functions/runtime/errors.ts';
import type { Architecture, LogDays } from './config.ts';

/** One target of an app's environment, as its app file names it: `target` is its name there. */
export type DeployableServiceProps = {
  /** The installation of Sluice that may deploy to it. Default: `sluice`. */
  readonly prefix?: string;
  readonly app: string;
  readonly environment: string;
  readonly target: string;
  /** The service's name in ECS, for the app file's `service`. Default: `<app>-<environment>-<target>`. */
  readonly serviceName?: string;
  // The classes, too: with `exactOptionalPropertyTypes` CDK's own are not of their interfaces' types.
  readonly cluster: ICluster | Cluster;
  readonly runs: Runs;
  readonly front: Front;
  /** Where the app listens; `runtime.port` of the app file must be the same. Default: 3000. */
  readonly containerPort?: number;
  /** Units of 1/1024 processor, and MiB. Default: 256 and 512. */
  readonly cpu?: number;
  readonly memory?: number;
  /** As its images are built (`builds.architecture` of the installation). Default: x86_64. */
  readonly architecture?: Architecture;
  readonly tasks?: TaskCount;
  readonly health?: Partial<Health>;
  /** How long an old task may finish its requests before the load balancer cuts them off. Default: 30. */
  readonly drainSeconds?: number;
  /** From SIGTERM to SIGKILL, after that. Default: 30; the app file's own goes before it. */
  readonly stopTimeoutSeconds?: number;
  /** A client stays with the task that answered it first, by a cookie that lives so long. Default: none. */
  readonly stickySeconds?: number;
  /** Variables that the stack knows and the app file does not: the name of a table, a URL. No secrets. */
  readonly environmentVariables?: Readonly<Record<string, string>>;
  /** The app's container cannot write to its own file system, `/tmp` included. Default: false, as many images do. */
  readonly readonlyRoot?: boolean;
  /** `user` or `uid:gid` of the app's container. Default: the image's own for an image, 1000:1000 for a bundle. */
  readonly user?: string;
  readonly logDays?: LogDays;
  /** Which of the cluster's subnets. Default: the private ones. */
  readonly subnets?: SubnetSelection;
  /** Needed in public subnets without NAT, to pull images. Default: false. */
  readonly assignPublicIp?: boolean;
  readonly securityGroups?: readonly ISecurityGroup[];
  /** A rollout is undone when more than so many percent of the requests end in a 5xx, for two minutes. Default: 5. */
  readonly errorPercent?: number;
};

/** `image`: what the app's Dockerfile makes. `bundle`: an archive that is unpacked beside a runtime's image. */
export type Runs =
  | {
      readonly kind: 'image';
      /** What runs until the first deployment; it has Node. Default: Node's own image. */
      readonly initialImage?: string;
    }
  | {
      readonly kind: 'bundle';
      /** What the bundle runs in, and what answers until the first deployment; it has Node. Default: Node's own image. */
      readonly runtimeImage?: string;
      /** What fetches and unpacks it; it has the AWS CLI and Python. Default: the AWS CLI's own image. */
      readonly fetchImage?: string;
    };

/** How requests come to it. */
export type Front =
  | {
      /** A rule on a listener that is there: by host names, by paths, or both. */
      readonly kind: 'listener';
      readonly listener: IApplicationListener | ApplicationListener;
      readonly priority: number;
      readonly hosts?: readonly string[];
      readonly paths?: readonly string[];
    }
  | {
      /** A load balancer of its own: with a certificate https, and http is sent there; without one http alone. */
      readonly kind: 'load-balancer';
      readonly certificateArn?: string;
      /** Reached from the network only. Default: false. */
      readonly internal?: boolean;
    };

/** Kept between `min` and `max` by the load of the processors; equal, there are always so many. */
export type TaskCount = { readonly min: number; readonly max: number; readonly cpuPercent?: number };

export const nodeImage = 'public.ecr.aws/docker/library/node:24-slim';
export const awsCliImage = 'public.ecr.aws/aws-cli/aws-cli:latest';

/** The properties with every default in its place. */
export type ServiceSettings = ReturnType<typeof serviceSettingsOf>;

/** Throws `Problem('invalid')` that names every wrong property and what was expected. */
export function serviceSettingsOf(props: DeployableServiceProps) {
  refuse(`The service ${props.app}-${props.environment}-${props.target}`, rulesOf(props));
  const { app, environment, target, runs, front } = props;
  return {
    app,
    environment,
    target,
    runs,
    front,
    cluster: props.cluster as ICluster,
    prefix: props.prefix ?? 'sluice',
    serviceName: props.serviceName ?? `${app}-${environment}-${target}`,
    containerPort: props.containerPort ?? 3000,
    cpu: props.cpu ?? 256,
    memory: props.memory ?? 512,
    architecture: props.architecture ?? 'x86_64',
    tasks: { cpuPercent: 60, ...(props.tasks ?? { min: 2, max: 4 }) },
    health: { ...defaultHealth, ...props.health },
    drainSeconds: props.drainSeconds ?? 30,
    stopTimeoutSeconds: props.stopTimeoutSeconds ?? 30,
    stickySeconds: props.stickySeconds,
    environmentVariables: props.environmentVariables ?? {},
    readonlyRoot: props.readonlyRoot ?? false,
    user: props.user ?? (runs.kind === 'bundle' ? '1000:1000' : undefined),
    logDays: props.logDays ?? 30,
    subnets: props.subnets,
    assignPublicIp: props.assignPublicIp ?? false,
    securityGroups: props.securityGroups,
    errorPercent: props.errorPercent ?? 5,
  };
}

/** Those of the app file. */
const defaultHealth: Health = {
  path: '/health',
  intervalSeconds: 5,
  timeoutSeconds: 2,
  healthyThreshold: 2,
  unhealthyThreshold: 2,
  graceSeconds: 60,
};

export type Rule = readonly [field: string, isRight: boolean, expected: string];

/** Throws `Problem('invalid')` that names every field whose rule is broken. */
export function refuse(subject: string, rules: readonly Rule[]): void {
  const issues = rules.flatMap(([field, isRight, expected]) => (isRight ? [] : [{ field, expected }]));
  if (issues.length === 0) return;
  const told = issues.map(({ field, expected }) => `${field}: expected ${expected}`).join('; ');
  throw new Problem('invalid', `${subject} cannot be made: ${told}`, { issues });
}

/** As `functions/apps/schema.ts` allows them; a test compares the two. */
export function nameRules(names: { readonly prefix?: string | undefined; readonly app: string }): readonly Rule[] {
  const { prefix = 'sluice', app } = names;
  return [
    ['prefix', prefixPattern.test(prefix), words(16)],
    ['app', isWord(app, 40), words(40)],
  ];
}

function rulesOf(props: DeployableServiceProps): readonly Rule[] {
  return [
    ...nameRules(props),
    ['environment', isWord(props.environment, 32), words(32)],
    ['target', isWord(props.target, 32), words(32)],
    [
      'serviceName',
      /^[\w-]{1,255}$/.test(props.serviceName ?? 'x'),
      '1 to 255 letters, digits, dashes and underscores',
    ],
    ...runsRules(props.runs),
    ...frontRules(props.front),
    ...countRules(props.tasks),
    ...healthRules({ ...defaultHealth, ...props.health }),
    whole('containerPort', props.containerPort, [1, 65_535]),
    whole('drainSeconds', props.drainSeconds, [0, 3600]),
    // Fargate's own limits: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
    whole('stopTimeoutSeconds', props.stopTimeoutSeconds, [2, 120]),
    whole('stickySeconds', props.stickySeconds, [1, 604_800]),
    whole('errorPercent', props.errorPercent, [1, 100]),
    ...Object.keys(props.environmentVariables ?? {}).map((name): Rule => [
      `environmentVariables.${name}`,
      name !== 'PORT' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name),
      'a variable name other than PORT, which is containerPort',
    ]),
  ];
}

/** A caller in plain JavaScript can give what does not compile. */
function runsRules(runs: Runs): readonly Rule[] {
  const given = Object.keys(runs);
  const own = runs.kind === 'bundle' ? ['runtimeImage', 'fetchImage'] : ['initialImage'];
  return [
    ['runs.kind', runs.kind === 'image' || runs.kind === 'bundle', 'image or bundle'],
    ...given
      .filter((name) => name !== 'kind' && !own.includes(name))
      .map((name): Rule => [
        `runs.${name}`,
        false,
        `none, as a service runs images or bundles, and this one has ${runs.kind}s`,
      ]),
  ];
}

function frontRules(front: Front): readonly Rule[] {
  if (front.kind === 'load-balancer') return [];
  const conditions = [...(front.hosts ?? []), ...(front.paths ?? [])];
  return [
    ['front.kind', front.kind === 'listener', 'listener or load-balancer'],
    whole('front.priority', front.priority, [1, 50_000]),
    ['front.hosts', conditions.length > 0, 'host names, or front.paths, by which requests come here'],
    // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
    ['front.hosts', conditions.length <= 5, 'at most 5 host names and paths together'],
  ];
}

function countRules({ min, max, cpuPercent }: TaskCount = { min: 2, max: 4 }): readonly Rule[] {
  return [
    whole('tasks.min', min, [1, 1000]),
    whole('tasks.max', max, [1, 1000]),
    ['tasks.max', max >= min, 'at least tasks.min'],
    whole('tasks.cpuPercent', cpuPercent, [10, 95]),
  ];
}

/** What a load balancer can check: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html */
function healthRules(health: Health): readonly Rule[] {
  return [
    ['health.path', /^\/[!-~]{0,1000}$/.test(health.path), 'a path that begins with / and has no blanks'],
    whole('health.intervalSeconds', health.intervalSeconds, [5, 300]),
    whole('health.timeoutSeconds', health.timeoutSeconds, [2, 120]),
    ['health.timeoutSeconds', health.timeoutSeconds < health.intervalSeconds, 'less than health.intervalSeconds'],
    whole('health.healthyThreshold', health.healthyThreshold, [2, 10]),
    whole('health.unhealthyThreshold', health.unhealthyThreshold, [2, 10]),
    whole('health.graceSeconds', health.graceSeconds, [0, 3600]),
  ];
}

function whole(field: string, value: number | undefined, [min, max]: readonly [number, number]): Rule {
  const isRight = value === undefined || (Number.isInteger(value) && value >= min && value <= max);
  return [field, isRight, `a whole number from ${min} to ${max}`];
}

/** A name becomes part of names and of IAM policies, so it is known when the template is made. */
function isWord(name: string, max: number): boolean {
  if (Token.isUnresolved(name)) return false;
  return name.length <= max && /^[a-z](?:[a-z0-9-]*[a-z0-9])?$/.test(name);
}

function words(max: number): string {
  return `1 to ${max} lower-case letters, digits and inner dashes, a letter first`;
}
