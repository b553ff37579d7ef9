import { describe, expect, it } from 'vitest';
import { metricNamespace, prefixDimension } from '../../functions/lambda/metric-names.ts';
import { cloudWatchMetrics, embeddedMetrics, tellReconciled } from '../../functions/lambda/metrics.ts';
import { metricNamespace as watchedNamespace, prefixDimension as watchedDimension } from '../../infra/metrics.ts';
import { resourcesOf, templateOf } from '../infra/stand-in.ts';

type Line = {
  readonly _aws: {
    readonly Timestamp: number;
    readonly CloudWatchMetrics: readonly {
      readonly Namespace: string;
      readonly Dimensions: readonly (readonly string[])[];
      readonly Metrics: readonly { readonly Name: string; readonly Unit: string }[];
    }[];
  };
  readonly [name: string]: unknown;
};

function collected() {
  const lines: Line[] = [];
  const write = (line: string) => {
    expect(line.endsWith('}\n')).toBe(true);
    expect(line.indexOf('\n')).toBe(line.length - 1);
    lines.push(JSON.parse(line) as Line);
  };
  const tell = embeddedMetrics({ prefix: 'sluice', clock: () => 1_795_184_525_000, write });
  return { lines, tell, metrics: cloudWatchMetrics(tell) };
}

const metricsOf = ({ _aws: { CloudWatchMetrics } }: Line) => CloudWatchMetrics;

/** By the rules of the format: what is named as a dimension or a metric stands at the top, of the right type. */
function checked(line: Line | undefined): Line {
  if (!line) throw new Error('nothing was told');
  for (const { Dimensions, Metrics } of metricsOf(line)) {
    for (const name of Dimensions.flat()) expect(line[name]).toEqual(expect.any(String));
    for (const { Name } of Metrics) expect(line[Name]).toEqual(expect.any(Number));
  }
  return line;
}

describe('the metrics in the log', () => {
  it('are one line in the embedded metric format', () => {
    const { lines, metrics } = collected();
    metrics.webhookDelivery('accepted');
    expect(checked(lines[0])).toEqual({
      _aws: {
        Timestamp: 1_795_184_525_000,
        CloudWatchMetrics: [
          {
            Namespace: 'Sluice',
            Dimensions: [['Prefix', 'Outcome']],
            Metrics: [{ Name: 'WebhookDeliveries', Unit: 'Count' }],
          },
        ],
      },
      Prefix: 'sluice',
      Outcome: 'accepted',
      WebhookDeliveries: 1,
    });
  });

  it('tell how a deployment and a build ended, and how long they took', () => {
    const { lines, metrics } = collected();
    metrics.deploymentEnded({ status: 'rolled_back', trigger: 'push', seconds: 61.5, phases: [], rollouts: [] });
    metrics.buildEnded({ kind: 'image', status: 'failed', seconds: 12 });
    expect(lines.map(checked)).toMatchObject([
      { Status: 'rolled_back', DeploymentSeconds: 61.5 },
      { Status: 'failed', BuildSeconds: 12 },
    ]);
  });

  it('tell nothing of a request, which API Gateway counts', () => {
    const { lines, metrics } = collected();
    metrics.httpRequest({ method: 'GET', route: '/health', status: 200, seconds: 1 });
    expect(lines).toEqual([]);
  });

  it('tell what reconcile found, and nothing where there is nothing: it would be paid for every hour', () => {
    const { lines, tell } = collected();
    tellReconciled(tell, { open: 0, looked: 0, findings: 0, oldestQueuedSeconds: 0 });
    expect(lines).toEqual([]);
    tellReconciled(tell, { open: 3, looked: 3, findings: 0, oldestQueuedSeconds: 0 });
    tellReconciled(tell, { open: 2, looked: 2, findings: 1, oldestQueuedSeconds: 4000 });
    const told = lines.map(checked).map(({ _aws, ...values }) => values);
    expect(told).toEqual([
      { Prefix: 'sluice', OpenDeployments: 3 },
      { Prefix: 'sluice', OpenDeployments: 2, ReconcileFindings: 1, OldestQueuedSeconds: 4000 },
    ]);
  });
});

describe('what the stack watches', () => {
  it('is what the functions tell', () => {
    expect([watchedNamespace, watchedDimension]).toEqual([metricNamespace, prefixDimension]);
    const { lines, tell, metrics } = collected();
    tellReconciled(tell, { open: 1, looked: 1, findings: 1, oldestQueuedSeconds: 1 });
    metrics.deploymentEnded({ status: 'succeeded', trigger: 'push', seconds: 1, phases: [], rollouts: [] });
    const told = lines.flatMap((line) =>
      metricsOf(line).flatMap(({ Dimensions, Metrics }) =>
        Metrics.map(({ Name }) => `${Name} by ${[...(Dimensions[0] ?? [])].sort().join()}`),
      ),
    );
    const watched = resourcesOf(templateOf(), 'AWS::CloudWatch::Alarm').flatMap(([, { Properties }]) => {
      const { Namespace, MetricName, Dimensions } = Properties as {
        Namespace?: string;
        MetricName?: string;
        Dimensions?: { Name: string; Value: unknown }[];
      };
      // What is counted in the access log has its name from the installation, and no dimension.
      if (Namespace !== metricNamespace || !Dimensions) return [];
      expect(Dimensions.find(({ Name }) => Name === prefixDimension)?.Value).toBe('sluice');
      return [
        `${MetricName} by ${Dimensions.map(({ Name }) => Name)
          .sort()
          .join()}`,
      ];
    });
    expect(watched.sort()).toEqual(['OldestQueuedSeconds by Prefix', 'ReconcileFindings by Prefix']);
    expect(told).toEqual(expect.arrayContaining(watched));
    const page = JSON.stringify(resourcesOf(templateOf(), 'AWS::CloudWatch::Dashboard'));
    for (const name of ['DeploymentSeconds', 'OpenDeployments', 'OldestQueuedSeconds']) expect(page).toContain(name);
    expect(told).toContain('DeploymentSeconds by Prefix,Status');
    expect(page).toContain(String.raw`\"Prefix\",\"sluice\",\"Status\",\"succeeded\"`);
  });
});
