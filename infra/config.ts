import { Problem, type Issue } from '../functions/runtime/errors.ts';
import { prefixPattern } from '../functions/runtime/aws-names.ts';

/** The processors on which images are built, and so on which they run: a service's tasks must have the same. */
export type Architecture = 'arm64' | 'x86_64';
export type BuildSize = 'small' | 'medium' | 'large';

/**
 * One installation of Sluice: what a platform team decides. Everything has a default but the prefix; what is left out
 * costs nothing and is not made.
 */
export type ControlPlaneConfig = {
  /** Names the installation and everything of it; 1 to 16 lower-case letters, digits and inner dashes. */
  readonly prefix: string;
  /** Left out: the account and region of the credentials by which it is deployed. Both or neither. */
  readonly account?: string;
  readonly region?: string;
  /** The API's own host name, with a certificate of this region; or a hosted zone in which one is made. */
  readonly domain?: Domain;
  /** Requests per second, and how many at once may come above that, before API Gateway answers 429. */
  readonly throttle?: { readonly requestsPerSecond: number; readonly burst: number };
  /** How long logs are kept, in days. */
  readonly logDays?: LogDays;
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error';
  /** Who is told by mail when an alarm goes off; the address must confirm AWS's first mail. */
  readonly alarmEmail?: string;
  /**
   * How many run at once, set aside from the account's own limit. An account whose limit is 10 can set nothing aside:
   * there `reconcile: 'shared'`.
   */
  readonly concurrency?: {
    readonly api?: number;
    readonly workflow?: number;
    readonly reconcile?: number | 'shared';
  };
  readonly builds?: BuildConfig;
  /** An existing bucket of this account and region to which S3 writes who asked for what. */
  readonly accessLogBucket?: string;
  /** ECS clusters whose events wake deployments; left out: every cluster of the account and region. */
  readonly clusters?: readonly string[];
};

export type Domain =
  | { readonly name: string; readonly certificateArn: string; readonly hostedZone?: HostedZone }
  | { readonly name: string; readonly hostedZone: HostedZone };
export type HostedZone = { readonly id: string; readonly name: string };

export type BuildConfig = {
  readonly architecture?: Architecture;
  /** The machine for image builds; the other kinds take a small one. */
  readonly imageSize?: BuildSize;
  readonly bundleSize?: BuildSize;
  /** How many of one kind run at once; further ones are refused by CodeBuild, and the workflow tries them again for a while. */
  readonly concurrent?: number;
  /** How long a build may wait for a machine. */
  readonly queuedMinutes?: number;
  /** Builds run in this network, with a security group of their own; the subnets need a way out to the internet. */
  readonly vpc?: { readonly id: string; readonly subnetIds: readonly [string, ...string[]] };
};

/** What CloudWatch accepts. */
export type LogDays = 1 | 3 | 5 | 7 | 14 | 30 | 60 | 90 | 120 | 150 | 180 | 365 | 400 | 545 | 731 | 1096 | 1827 | 3653;

/** The configuration with every default in its place. */
export type Settings = {
  readonly prefix: string;
  readonly env: { readonly account: string; readonly region: string } | undefined;
  readonly domain: Domain | undefined;
  readonly throttle: { readonly requestsPerSecond: number; readonly burst: number };
  readonly logDays: LogDays;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly alarmEmail: string | undefined;
  readonly concurrency: {
    readonly api: number | undefined;
    readonly workflow: number | undefined;
    readonly reconcile: number | undefined;
  };
  readonly builds: {
    readonly architecture: Architecture;
    readonly imageSize: BuildSize;
    readonly bundleSize: BuildSize;
    readonly concurrent: number | undefined;
    readonly queuedMinutes: number;
    readonly vpc: BuildConfig['vpc'];
  };
  readonly accessLogBucket: string | undefined;
  readonly clusters: readonly string[];
};

/** Throws `Problem('invalid')` that names every wrong field and what was expected. */
export function settingsOf(config: ControlPlaneConfig): Settings {
  const issues = issuesOf(config);
  if (issues.length > 0) {
    const told = issues.map(({ field, expected }) => `${field}: expected ${expected}`).join('; ');
    throw new Problem('invalid', `The configuration of ${config.prefix || 'the control plane'} is wrong: ${told}`, {
      issues,
    });
  }
  const { builds = {}, concurrency = {} } = config;
  return {
    prefix: config.prefix,
    env: config.account && config.region ? { account: config.account, region: config.region } : undefined,
    domain: config.domain,
    throttle: config.throttle ?? { requestsPerSecond: 50, burst: 100 },
    logDays: config.logDays ?? 30,
    logLevel: config.logLevel ?? 'info',
    alarmEmail: config.alarmEmail,
    concurrency: {
      api: concurrency.api,
      workflow: concurrency.workflow,
      reconcile: concurrency.reconcile === 'shared' ? undefined : (concurrency.reconcile ?? 1),
    },
    builds: {
      architecture: builds.architecture ?? 'x86_64',
      imageSize: builds.imageSize ?? 'medium',
      bundleSize: builds.bundleSize ?? 'small',
      concurrent: builds.concurrent,
      queuedMinutes: builds.queuedMinutes ?? 60,
      vpc: builds.vpc,
    },
    accessLogBucket: config.accessLogBucket,
    clusters: config.clusters ?? [],
  };
}

type Rule = readonly [field: string, isRight: boolean, expected: string];

function issuesOf(config: ControlPlaneConfig): readonly Issue[] {
  const rules = [
    ...placeRules(config),
    ...limitRules(config),
    ...domainRules(config.domain),
    ...buildRules(config.builds),
  ];
  return rules.flatMap(([field, isRight, expected]) => (isRight ? [] : [{ field, expected }]));
}

function placeRules({ prefix, account, region, alarmEmail, accessLogBucket, clusters }: ControlPlaneConfig): Rule[] {
  return [
    ['prefix', prefixPattern.test(prefix), '1 to 16 lower-case letters, digits and inner dashes, a letter first'],
    ['account', account === undefined || /^\d{12}$/.test(account), 'the 12 digits of an AWS account'],
    ['region', region === undefined || /^[a-z]{2}(-[a-z]+)+-\d$/.test(region), 'an AWS region, as eu-central-1'],
    ['region', (account === undefined) === (region === undefined), 'account and region together, or neither'],
    ['alarmEmail', alarmEmail === undefined || /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(alarmEmail), 'an e-mail address'],
    [
      'accessLogBucket',
      accessLogBucket === undefined || /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(accessLogBucket),
      'the name of a bucket',
    ],
    ...(clusters ?? []).map((name, index): Rule => [
      `clusters[${index}]`,
      /^[\w-]{1,255}$/.test(name),
      'the name of a cluster, not its ARN',
    ]),
  ];
}

function limitRules({ throttle, concurrency = {} }: ControlPlaneConfig): Rule[] {
  const shares = Object.entries(concurrency).filter(([, share]) => share !== undefined && share !== 'shared');
  return [
    ['throttle.requestsPerSecond', isCount(throttle?.requestsPerSecond, 10_000), 'a whole number from 1 to 10000'],
    ['throttle.burst', isCount(throttle?.burst, 5000), 'a whole number from 1 to 5000'],
    ...shares.map(([name, share]): Rule => [
      `concurrency.${name}`,
      isCount(Number(share), 1000),
      'a whole number from 1 to 1000',
    ]),
  ];
}

function domainRules(domain: Domain | undefined): Rule[] {
  if (!domain) return [];
  const host = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/;
  const { name, hostedZone } = domain;
  const certificate = 'certificateArn' in domain ? domain.certificateArn : undefined;
  return [
    ['domain.name', host.test(name), 'a host name in lower case, without scheme and path'],
    [
      'domain.certificateArn',
      certificate === undefined || /^arn:aws[\w-]*:acm:[\w-]+:\d{12}:certificate\/[\w-]+$/.test(certificate),
      'the ARN of a certificate in ACM',
    ],
    ['domain', certificate !== undefined || hostedZone !== undefined, 'a certificateArn, a hostedZone, or both'],
    [
      'domain.hostedZone.id',
      !hostedZone || /^Z[A-Z0-9]{1,31}$/.test(hostedZone.id),
      'the id of a hosted zone, as Z0ABC',
    ],
    [
      'domain.hostedZone.name',
      !hostedZone || (host.test(hostedZone.name) && (name === hostedZone.name || name.endsWith(`.${hostedZone.name}`))),
      'the zone in which domain.name lies',
    ],
  ];
}

function buildRules(builds: BuildConfig | undefined): Rule[] {
  const { concurrent, queuedMinutes, vpc } = builds ?? {};
  return [
    ['builds.concurrent', isCount(concurrent, 1000), 'a whole number from 1 to 1000'],
    [
      'builds.queuedMinutes',
      queuedMinutes === undefined || (queuedMinutes >= 5 && isCount(queuedMinutes, 480)),
      'a whole number of minutes from 5 to 480',
    ],
    ['builds.vpc.id', !vpc || /^vpc-[0-9a-f]{8,17}$/.test(vpc.id), 'the id of a VPC'],
    ...(vpc?.subnetIds ?? []).map((id, index): Rule => [
      `builds.vpc.subnetIds[${index}]`,
      /^subnet-[0-9a-f]{8,17}$/.test(id),
      'the id of a subnet',
    ]),
  ];
}

function isCount(value: number | undefined, max: number): boolean {
  return value === undefined || (Number.isInteger(value) && value >= 1 && value <= max);
}
