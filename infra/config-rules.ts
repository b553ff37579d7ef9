import type { Limits, Policy } from '../functions/ports/ports.ts';
import { prefixPattern } from '../functions/runtime/aws-names.ts';
import type { Issue } from '../functions/runtime/errors.ts';
import {
  architectures,
  buildSizes,
  logDays,
  logLevels,
  type BuildConfig,
  type ControlPlaneConfig,
  type Domain,
} from './config.ts';

type Rule = readonly [field: string, isRight: boolean, expected: string];

/** What is wrong with a configuration, field by field. Pure. */
export function issuesOf(config: ControlPlaneConfig): readonly Issue[] {
  const rules = [
    ...knownRules(config),
    ...choiceRules(config),
    ...placeRules(config),
    ...limitRules(config),
    ...domainRules(config.domain),
    ...buildRules(config.builds),
    ...serviceRules(config),
  ];
  return rules.flatMap(([field, isRight, expected]) => (isRight ? [] : [{ field, expected }]));
}

/** Every field that there is: a misspelt one would be left out without a word. */
const known = {
  '': keysOf<ControlPlaneConfig>({
    prefix: 0,
    account: 0,
    region: 0,
    domain: 0,
    throttle: 0,
    logDays: 0,
    logLevel: 0,
    alarmEmail: 0,
    concurrency: 0,
    builds: 0,
    limits: 0,
    oidc: 0,
    accessLogBucket: 0,
    clusters: 0,
  }),
  throttle: keysOf<NonNullable<ControlPlaneConfig['throttle']>>({ requestsPerSecond: 0, burst: 0 }),
  concurrency: keysOf<NonNullable<ControlPlaneConfig['concurrency']>>({ api: 0, workflow: 0, reconcile: 0 }),
  domain: ['name', 'certificateArn', 'hostedZone'],
  builds: keysOf<BuildConfig>({
    architecture: 0,
    imageSize: 0,
    bundleSize: 0,
    concurrent: 0,
    queuedMinutes: 0,
    vpc: 0,
    buildKitImage: 0,
    sbomScanner: 0,
  }),
  limits: keysOf<Limits>({ objectBytes: 0, buildBytes: 0, buildObjects: 0, appBytes: 0, requestsPerMinute: 0 }),
  oidc: keysOf<Policy['oidc']>({ issuer: 0, audience: 0 }),
} as const;

function keysOf<T>(keys: Readonly<Record<keyof T, 0>>): readonly string[] {
  return Object.keys(keys);
}

function knownRules(config: ControlPlaneConfig): Rule[] {
  const { throttle, concurrency, domain, builds, limits, oidc } = config;
  const parts = { '': config, throttle, concurrency, domain, builds, limits, oidc };
  return Object.entries(parts).flatMap(([part, given]) => {
    const fields: readonly string[] = known[part as keyof typeof known];
    const others = Object.keys(given ?? {}).filter((field) => !fields.includes(field));
    return others.map((field): Rule => [
      part === '' ? field : `${part}.${field}`,
      false,
      `one of ${fields.join(', ')}`,
    ]);
  });
}

function choiceRules({ logDays: days, logLevel, builds = {} }: ControlPlaneConfig): Rule[] {
  return [
    oneOf('logDays', days, logDays),
    oneOf('logLevel', logLevel, logLevels),
    oneOf('builds.architecture', builds.architecture, architectures),
    oneOf('builds.imageSize', builds.imageSize, buildSizes),
    oneOf('builds.bundleSize', builds.bundleSize, buildSizes),
  ];
}

function oneOf<T>(field: string, value: T | undefined, choices: readonly T[]): Rule {
  return [field, value === undefined || choices.includes(value), `one of ${choices.join(', ')}`];
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
  const { concurrent, queuedMinutes, vpc, buildKitImage, sbomScanner } = builds ?? {};
  return [
    ['builds.buildKitImage', isImage(buildKitImage), 'the name of an image, as registry/name:tag'],
    ['builds.sbomScanner', isImage(sbomScanner), 'the name of an image, as registry/name:tag, or none'],
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

const mostObjectBytes = 10 * 1024 ** 3;
const mostBytes = 100 * 1024 ** 4;

function serviceRules({ limits = {}, oidc }: ControlPlaneConfig): Rule[] {
  const most: Readonly<Record<keyof Limits, number>> = {
    // A step reads an object whole to verify it, and a function has its time.
    objectBytes: mostObjectBytes,
    buildBytes: mostBytes,
    buildObjects: 100_000_000,
    appBytes: mostBytes,
    requestsPerMinute: 1_000_000,
  };
  const issuer = oidc && URL.parse(oidc.issuer);
  return [
    ...Object.entries(most).map(([name, max]): Rule => [
      `limits.${name}`,
      isCount(limits[name as keyof Limits], max),
      `a whole number from 1 to ${max}`,
    ]),
    [
      'oidc.issuer',
      !oidc || (issuer?.protocol === 'https:' && issuer.search === '' && !/[/#]$/.test(oidc.issuer)),
      'an https URL without a query, a fragment or a slash at its end',
    ],
    [
      'oidc.audience',
      !oidc || /^[\x21-\x7e]{1,255}$/.test(oidc.audience ?? ''),
      '1 to 255 printable ASCII characters without blanks',
    ],
  ];
}

function isCount(value: number | undefined, max: number): boolean {
  return value === undefined || (Number.isInteger(value) && value >= 1 && value <= max);
}

function isImage(name: string | undefined): boolean {
  return name === undefined || /^[a-z0-9][\w.:/@-]{0,511}$/i.test(name);
}
