import type { Limits, Policy } from '../functions/ports/ports.ts';
import { Problem } from '../functions/runtime/errors.ts';
import { issuesOf } from './config-rules.ts';

// Lists, as CDK reads the configuration without a compiler: what does not compile is refused in a sentence as well.
export const architectures = ['arm64', 'x86_64'] as const;
/** The processors on which images are built, and so on which they run: a service's tasks must have the same. */
export type Architecture = (typeof architectures)[number];
export const buildSizes = ['small', 'medium', 'large'] as const;
export type BuildSize = (typeof buildSizes)[number];
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];
/** What CloudWatch accepts. */
export const logDays = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653] as const;
export type LogDays = (typeof logDays)[number];

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
  readonly logLevel?: LogLevel;
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
  /**
   * What the builds service takes: of an object, a build and an app, and how often a token may ask. Left out: 5 GiB, 20
   * GiB and 500,000 objects, 200 GiB, 1200 requests a minute.
   */
  readonly limits?: Partial<Limits>;
  /** Whose OIDC tokens CI may exchange for ours. Default: those of GitHub Actions for the audience `sluice`. */
  readonly oidc?: Policy['oidc'];
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
  /** The machine for image builds and checks; the other kinds take a small one. */
  readonly imageSize?: BuildSize;
  readonly bundleSize?: BuildSize;
  /** How many of one kind run at once; further ones are refused by CodeBuild, and the workflow tries them again for a while. */
  readonly concurrent?: number;
  /** How long a build may wait for a machine. */
  readonly queuedMinutes?: number;
  /** Builds run in this network, with a security group of their own; the subnets need a way out to the internet. */
  readonly vpc?: { readonly id: string; readonly subnetIds: readonly [string, ...string[]] };
  /** The image of BuildKit by which images are built. Default: `moby/buildkit`, from Docker Hub, which counts pulls. */
  readonly buildKitImage?: string;
  /** The image that lists what an image holds; `none` leaves the list out. Default: Docker's own, from Docker Hub. */
  readonly sbomScanner?: string;
};

/** The configuration with every default in its place. */
export type Settings = {
  readonly prefix: string;
  readonly env: { readonly account: string; readonly region: string } | undefined;
  readonly domain: Domain | undefined;
  readonly throttle: { readonly requestsPerSecond: number; readonly burst: number };
  readonly logDays: LogDays;
  readonly logLevel: LogLevel;
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
    readonly buildKitImage: string | undefined;
    readonly sbomScanner: string | undefined;
  };
  readonly limits: Partial<Limits>;
  readonly oidc: Policy['oidc'] | undefined;
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
      buildKitImage: builds.buildKitImage,
      sbomScanner: builds.sbomScanner,
    },
    limits: config.limits ?? {},
    oidc: config.oidc,
    accessLogBucket: config.accessLogBucket,
    clusters: config.clusters ?? [],
  };
}
