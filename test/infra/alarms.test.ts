import { beforeAll, describe, expect, it } from 'vitest';
import { metricNames, metricNamespace, prefixDimension } from '../../functions/lambda/metric-names.ts';
import * as infra from '../../infra/metrics.ts';
import { flat, resourceOf, resourcesOf, templateOf } from './stand-in.ts';

type MetricStat = { readonly Metric: { readonly MetricName: string }; readonly Period: number };
type AlarmProperties = {
  readonly AlarmName: string;
  readonly AlarmDescription: string;
  readonly TreatMissingData: string;
  readonly MetricName?: string;
  readonly Namespace?: string;
  readonly Dimensions?: readonly { readonly Name: string; readonly Value: unknown }[];
  readonly Metrics?: readonly { readonly Expression?: string; readonly MetricStat?: MetricStat }[];
  readonly AlarmActions?: readonly unknown[];
  readonly OKActions?: readonly unknown[];
  readonly DatapointsToAlarm: number;
  readonly EvaluationPeriods: number;
  readonly Threshold: number;
};

let template: ReturnType<typeof templateOf>;
let told: ReturnType<typeof templateOf>;
// The first synthesis loads CDK, which takes long on a machine that is busy.
beforeAll(() => {
  template = templateOf({ prefix: 'team' });
  told = templateOf({ prefix: 'team', alarmEmail: 'ops@example.com' });
}, 120_000);

const alarms = (of = template) =>
  resourcesOf(of, 'AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties as unknown as AlarmProperties);
const alarm = (name: string) => alarms().find(({ AlarmName }) => AlarmName === `team-${name}`);
const watched = ({ MetricName, Metrics = [] }: AlarmProperties) =>
  MetricName === undefined ? Metrics.flatMap(({ MetricStat }) => MetricStat?.Metric.MetricName ?? []) : [MetricName];

describe('the alarms', () => {
  it('are those that the operator is promised, and look at these metrics', () => {
    expect(Object.fromEntries(alarms().map((one) => [one.AlarmName, watched(one)]))).toEqual({
      'team-executions-failed': ['ExecutionsFailed', 'ExecutionsFailed'],
      'team-reconcile-findings': ['ReconcileFindings'],
      'team-reconcile-stopped': ['Invocations'],
      'team-oldest-queued': ['OldestQueuedSeconds'],
      'team-events-lost': ['ApproximateNumberOfMessagesVisible', 'ApproximateNumberOfMessagesVisible'],
      'team-api-failures': ['5xx'],
      'team-throttles': ['Throttles', 'ThrottledRequests'],
    });
  });

  it('say each what to do: more than one sentence, within what CloudWatch keeps of it', () => {
    for (const { AlarmDescription } of alarms()) {
      expect(AlarmDescription.match(/[.:]\s/g)?.length ?? 0).toBeGreaterThanOrEqual(1);
      expect(AlarmDescription.length).toBeGreaterThan(100);
      // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
      expect(AlarmDescription.length).toBeLessThanOrEqual(1024);
    }
  });

  it('take silence for fine, but that of the clock: where nothing happens, nothing is counted', () => {
    const alarming = alarms().filter(({ TreatMissingData }) => TreatMissingData !== 'notBreaching');
    expect(alarming.map(({ AlarmName }) => AlarmName)).toEqual(['team-reconcile-stopped']);
    expect(alarm('reconcile-stopped')).toMatchObject({
      TreatMissingData: 'breaching',
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
    });
  });

  it('that add metrics up count one that is silent as nothing, or its silence would hide the other', () => {
    const sums = alarms().flatMap(({ Metrics = [] }) => Metrics.flatMap(({ Expression }) => Expression ?? []));
    expect(sums).toHaveLength(3);
    for (const sum of sums) expect(sum).toMatch(/^FILL\(\w+, 0\)( \+ FILL\(\w+, 0\))+$/);
  });

  it('wait for a deployment that waits, and for findings that come again; a lost execution they tell at once', () => {
    expect(alarm('oldest-queued')).toMatchObject({ Threshold: 3600, DatapointsToAlarm: 5, EvaluationPeriods: 5 });
    expect(alarm('reconcile-findings')).toMatchObject({ Threshold: 1, DatapointsToAlarm: 5, EvaluationPeriods: 15 });
    expect(alarm('executions-failed')).toMatchObject({ Threshold: 1, DatapointsToAlarm: 1, EvaluationPeriods: 1 });
  });

  it('read what the functions tell, under the very names', () => {
    expect(infra.metricNamespace).toBe(metricNamespace);
    expect(infra.prefixDimension).toBe(prefixDimension);
    const own = alarms().filter(({ Namespace }) => Namespace === metricNamespace);
    expect(own.map(({ MetricName }) => MetricName)).toEqual([
      metricNames.reconcileFindings,
      metricNames.oldestQueuedSeconds,
    ]);
    for (const { Dimensions } of own) expect(Dimensions).toEqual([{ Name: prefixDimension, Value: 'team' }]);
  });

  it('tell a topic when an address is configured, when they go off and when it is over', () => {
    expect(resourcesOf(template, 'AWS::SNS::Topic')).toEqual([]);
    expect(alarms().flatMap(({ AlarmActions = [] }) => AlarmActions)).toEqual([]);
    const subscription = resourceOf(told, 'AWS::SNS::Subscription').Properties;
    expect(subscription).toMatchObject({ Protocol: 'email', Endpoint: 'ops@example.com' });
    for (const { AlarmActions = [], OKActions = [] } of alarms(told)) {
      expect(AlarmActions.map(flat)).toEqual([flat(subscription['TopicArn'])]);
      expect(OKActions).toEqual(AlarmActions);
    }
  });

  it('are told over TLS alone', () => {
    const policy = JSON.stringify(resourceOf(told, 'AWS::SNS::TopicPolicy').Properties);
    expect(policy).toContain('"aws:SecureTransport":"false"');
  });
});

describe('the dashboard', () => {
  type Widget = {
    readonly type: string;
    readonly y: number;
    readonly properties: { readonly title?: string; readonly alarms?: readonly unknown[] };
  };
  const body = () => flat(resourceOf(template, 'AWS::CloudWatch::Dashboard').Properties['DashboardBody']);
  const widgets = () => (JSON.parse(body()) as { widgets: Widget[] }).widgets;

  it('begins with whether something is wrong, then deployments, then the parts', () => {
    const titles = widgets()
      .sort((one, other) => one.y - other.y)
      .flatMap(({ properties }) => properties.title ?? []);
    expect(titles[0]).toBe('Is something wrong?');
    expect(titles.slice(1, 4)).toEqual([
      'Deployments that ended, and how',
      'Open deployments',
      'The oldest that waits, in seconds',
    ]);
    expect(titles.at(-1)).toContain('Builds');
  });

  it('shows every alarm', () => {
    const [status] = widgets().filter(({ type }) => type === 'alarm');
    expect(status?.properties.alarms).toHaveLength(alarms().length);
  });

  it('asks for metrics that the functions tell, with the dimensions that they tell them with', () => {
    const asked = [...body().matchAll(/\["Sluice","(\w+)","Prefix","team"(?:,"(\w+)","\w+")?/g)].map(
      ([, name, dimension]) => [name, dimension],
    );
    expect(new Set(asked.map(([name]) => name))).toEqual(
      new Set([
        metricNames.deploymentSeconds,
        metricNames.openDeployments,
        metricNames.oldestQueuedSeconds,
        metricNames.reconcileFindings,
      ]),
    );
    expect(asked.filter(([, dimension]) => dimension === 'Status')).toHaveLength(5);
  });

  it('counts what API Gateway refused, in the access log that is beside it', () => {
    const filter = resourceOf(template, 'AWS::Logs::MetricFilter');
    expect(filter.Properties['FilterPattern']).toBe('{ $.status = "429" }');
    const group = resourceOf(template, 'AWS::Logs::LogGroup', 'ApiAccessLog');
    expect(filter.Properties['LogGroupName']).toBe(group.Properties['LogGroupName']);
    expect(filter.DependsOn?.some((id) => id.startsWith('ApiAccessLog'))).toBe(true);
    expect(JSON.stringify(resourceOf(template, 'AWS::ApiGatewayV2::Stage').Properties['AccessLogSettings'])).toContain(
      String.raw`\"status\":\"$context.status\"`,
    );
  });
});
