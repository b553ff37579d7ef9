/**
 * What an installation costs while nothing happens, computed from its template by list prices. The prices are those of
 * us-east-1 without any free tier, known to the authors in November 2026 from AWS's pricing pages (`source`) and from
 * stored copies of them; they were not read from a live price list.
 */
export type Price = { readonly usd: number; readonly per: string; readonly source: string };

const cloudWatch = 'https://aws.amazon.com/cloudwatch/pricing/';
const lambda = 'https://aws.amazon.com/lambda/pricing/';

export const prices = {
  alarmMetric: { usd: 0.1, per: 'metric of an alarm and month', source: cloudWatch },
  dashboard: { usd: 3, per: 'dashboard and month', source: cloudWatch },
  secret: { usd: 0.4, per: 'secret and month', source: 'https://aws.amazon.com/secrets-manager/pricing/' },
  lambdaCall: { usd: 0.2e-6, per: 'call', source: lambda },
  lambdaArm: { usd: 0.0000133334, per: 'GB-second on arm64', source: lambda },
  lambdaX86: { usd: 0.0000166667, per: 'GB-second on x86_64', source: lambda },
  trace: { usd: 5e-6, per: 'trace', source: 'https://aws.amazon.com/xray/pricing/' },
  transition: { usd: 25e-6, per: 'state transition', source: 'https://aws.amazon.com/step-functions/pricing/' },
  httpRequest: { usd: 1e-6, per: 'request', source: 'https://aws.amazon.com/api-gateway/pricing/' },
  secretCall: { usd: 5e-6, per: 'call', source: 'https://aws.amazon.com/secrets-manager/pricing/' },
  mediumBuildMinute: { usd: 0.01, per: 'minute', source: 'https://aws.amazon.com/codebuild/pricing/' },
  writeUnit: { usd: 0.625e-6, per: 'write request unit', source: 'https://aws.amazon.com/dynamodb/pricing/on-demand/' },
  readUnit: { usd: 0.125e-6, per: 'read request unit', source: 'https://aws.amazon.com/dynamodb/pricing/on-demand/' },
  logByte: { usd: 0.5e-9, per: 'byte of log taken in', source: cloudWatch },
} as const satisfies Record<string, Price>;
export type PriceName = keyof typeof prices;

/** One line of the table: so many of something, at a price. */
export type CostLine = { readonly what: string; readonly count: number; readonly price: PriceName };
export type Template = { readonly Resources: Readonly<Record<string, Resource>> };
type Resource = { readonly Type: string; readonly Properties?: Readonly<Record<string, unknown>> };

/** A month of 30 days. */
const minutesOfMonth = 43_200;

/**
 * What one call of a function by its schedule is taken to need when it finds nothing to do: it was not measured on AWS.
 * A few queries that find nothing; a started, an ended and a reported line of log.
 */
export const idleCall = { milliseconds: 100, readUnits: 5, logBytes: 1000 } as const;

/** What costs by its being there. Everything else is in `freeWhileIdle`, or the template is refused. */
const costing: Readonly<Record<string, (resource: Resource, template: Template) => readonly CostLine[]>> = {
  'AWS::CloudWatch::Alarm': ({ Properties = {} }) => [
    { what: 'Alarms', count: metricsOf(Properties['Metrics']), price: 'alarmMetric' },
  ],
  'AWS::CloudWatch::Dashboard': () => [{ what: 'Dashboard', count: 1, price: 'dashboard' }],
  'AWS::SecretsManager::Secret': () => [{ what: 'Secrets (administrator, webhook)', count: 1, price: 'secret' }],
  'AWS::Events::Rule': (rule, template) => scheduledCalls(rule, template),
};

/** An alarm is paid by the metrics it looks at; a sum of others is none. */
function metricsOf(metrics: unknown): number {
  if (!Array.isArray(metrics)) return 1;
  return metrics.filter((metric: object) => 'MetricStat' in metric).length;
}

function scheduledCalls(rule: Resource, template: Template): readonly CostLine[] {
  const expression = rule.Properties?.['ScheduleExpression'] as string | undefined;
  // A rule by events is called by what happens; delivering AWS's own events is free.
  if (expression === undefined) return [];
  const calls = minutesOfMonth / minutesBetween(expression);
  const targets = (rule.Properties?.['Targets'] ?? []) as readonly { readonly Arn: unknown }[];
  return targets.flatMap(({ Arn }) => callCosts(functionOf(Arn, template), calls));
}

function minutesBetween(expression: string): number {
  const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? [];
  if (count === undefined || unit === undefined)
    throw new Error(`infra/cost.ts cannot count the calls of ${expression}`);
  return Number(count) * { minute: 1, hour: 60, day: 1440 }[unit as 'minute' | 'hour' | 'day'];
}

function callCosts({ Properties = {} }: Resource, calls: number): readonly CostLine[] {
  const gigabytes = Number(Properties['MemorySize'] ?? 128) / 1024;
  const isArm = JSON.stringify(Properties['Architectures'] ?? []).includes('arm64');
  const isTraced = JSON.stringify(Properties['TracingConfig'] ?? {}).includes('Active');
  const what = (part: string) => `Reconcile, ${part}`;
  return [
    { what: what('calls'), count: calls, price: 'lambdaCall' },
    {
      what: what(`${idleCall.milliseconds} ms each`),
      count: (calls * gigabytes * idleCall.milliseconds) / 1000,
      price: isArm ? 'lambdaArm' : 'lambdaX86',
    },
    { what: what(`${idleCall.readUnits} read units each`), count: calls * idleCall.readUnits, price: 'readUnit' },
    { what: what(`${idleCall.logBytes} bytes of log each`), count: calls * idleCall.logBytes, price: 'logByte' },
    // Lambda samples the first call of every second: https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
    ...(isTraced ? [{ what: what('traces'), count: calls, price: 'trace' } as const] : []),
  ];
}

/** The function behind a target: itself, or the one that an alias names. */
function functionOf(arn: unknown, template: Template): Resource {
  const named = arn as { readonly Ref?: string; readonly 'Fn::GetAtt'?: readonly [string, string] };
  const found = template.Resources[named.Ref ?? named['Fn::GetAtt']?.[0] ?? ''];
  if (found?.Type === 'AWS::Lambda::Function') return found;
  if (found?.Type === 'AWS::Lambda::Alias') {
    const name = found.Properties?.['FunctionName'] as { readonly Ref?: string };
    return functionOf({ Ref: name.Ref }, template);
  }
  throw new Error(`infra/cost.ts does not know what ${JSON.stringify(arn)} costs when it is called by a schedule`);
}

/** What costs nothing while nothing happens, and why. */
export const freeWhileIdle: Readonly<Record<string, string>> = {
  'AWS::ApiGatewayV2::Api': 'by the request',
  'AWS::ApiGatewayV2::ApiMapping': 'a setting',
  'AWS::ApiGatewayV2::DomainName': 'a setting',
  'AWS::ApiGatewayV2::Integration': 'a setting',
  'AWS::ApiGatewayV2::Route': 'a setting',
  'AWS::ApiGatewayV2::Stage': 'a setting',
  'AWS::CertificateManager::Certificate': 'public certificates are free',
  'AWS::CodeBuild::Project': 'by the minute of a build',
  'AWS::DynamoDB::Table':
    'by the request; by the GB kept ($0.25, and $0.20 for point-in-time recovery), of which there is next to none',
  'AWS::EC2::SecurityGroup': 'a setting',
  'AWS::IAM::ManagedPolicy': 'free',
  'AWS::IAM::Policy': 'free',
  'AWS::IAM::Role': 'free',
  'AWS::Lambda::Alias': 'a setting',
  'AWS::Lambda::EventInvokeConfig': 'a setting',
  'AWS::Lambda::Function': 'by the call',
  'AWS::Lambda::Permission': 'a setting',
  'AWS::Lambda::Version': 'a setting',
  'AWS::Logs::LogGroup': 'by the byte; what reconcile writes is counted with it',
  'AWS::Logs::MetricFilter': 'its metric is written, and paid, when there is something to count',
  'AWS::Route53::RecordSet': 'by the query; aliases to AWS are free',
  'AWS::S3::Bucket': 'by the request, and by the GB kept ($0.023), of which there is none',
  'AWS::S3::BucketPolicy': 'a setting',
  'AWS::SecretsManager::ResourcePolicy': 'a setting',
  'AWS::SNS::Subscription': 'by the mail',
  'AWS::SNS::Topic': 'by the message',
  'AWS::SNS::TopicPolicy': 'a setting',
  'AWS::SQS::Queue': 'by the request',
  'AWS::SQS::QueuePolicy': 'a setting',
  'AWS::SSM::Parameter': 'standard parameters are free',
  'AWS::StepFunctions::StateMachine': 'by the transition',
};

/** The lines of a template's idle month; of a kind one. Throws for a kind of resource of which nobody has said what it costs. */
export function idleCost(template: Template): readonly CostLine[] {
  const lines = new Map<string, CostLine>();
  for (const [id, resource] of Object.entries(template.Resources)) {
    const cost = costing[resource.Type];
    if (!cost && freeWhileIdle[resource.Type] === undefined)
      throw new Error(`${id} is of the kind ${resource.Type}: infra/cost.ts does not say what that costs`);
    for (const line of cost?.(resource, template) ?? []) {
      const before = lines.get(line.what);
      lines.set(line.what, { ...line, count: line.count + (before?.count ?? 0) });
    }
  }
  return [...lines.values()].sort((one, other) => dollarsOf([other]) - dollarsOf([one]));
}

export function dollarsOf(lines: readonly CostLine[]): number {
  return lines.reduce((sum, { count, price }) => sum + count * prices[price].usd, 0);
}

/** The table of docs/aws.md, as Markdown. */
export function costTable(lines: readonly CostLine[]): string {
  const rows = lines.map((line) => {
    const { per, usd, source } = prices[line.price];
    return `| ${line.what} | ${rounded(line.count)} | $${decimal(usd)} a ${per} | $${dollarsOf([line]).toFixed(3)} | [AWS](${source}) |`;
  });
  return [
    '| what | how many a month | list price | a month | price of |',
    '|---|--:|---|--:|---|',
    ...rows,
    `| **together** | | | **$${dollarsOf(lines).toFixed(2)}** | |`,
  ].join('\n');
}

const rounded = (count: number): string => Math.round(count).toLocaleString('en-US');
/** Without an exponent: 0.0000002. */
const decimal = (usd: number): string => usd.toFixed(12).replace(/\.?0+$/, '');
