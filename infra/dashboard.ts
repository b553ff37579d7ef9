import { Duration } from 'aws-cdk-lib';
import {
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  PeriodOverride,
  TextWidget,
  type IMetric,
  type IWidget,
  type MetricOptions,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Project } from 'aws-cdk-lib/aws-codebuild';
import { Construct } from 'constructs';
import type { EndStatus } from '../functions/deployments/state.ts';
import type { BuildKind } from '../functions/ports/builder.ts';
import type { ControlPlaneAlarms, Watched } from './alarms.ts';
import { ownMetric, refusedRequests } from './metrics.ts';

export type DashboardOptions = {
  readonly watched: Watched;
  readonly alarms: ControlPlaneAlarms['alarms'];
  readonly buildProjects: Readonly<Record<BuildKind, Project>>;
};

/** One page, read from the top: is something wrong, do deployments get through, and which part is it. */
export class ControlPlaneDashboard extends Construct {
  readonly dashboard: Dashboard;

  constructor(scope: Construct, id: string, options: DashboardOptions) {
    super(scope, id);
    const { watched, alarms } = options;
    this.dashboard = new Dashboard(this, 'Page', {
      dashboardName: watched.prefix,
      defaultInterval: Duration.hours(12),
      periodOverride: PeriodOverride.AUTO,
    });
    this.dashboard.addWidgets(
      new TextWidget({ markdown: introduction, width: 8, height: 5 }),
      new AlarmStatusWidget({ title: 'Is something wrong?', alarms: Object.values(alarms), width: 16, height: 5 }),
    );
    const refused = refusedRequests(this, watched).metric({
      statistic: 'Sum',
      period: Duration.minutes(5),
      label: '429',
    });
    for (const row of rowsOf(options, refused)) this.dashboard.addWidgets(...row);
  }
}

const introduction = `# Sluice
An alarm's description says what to do.
1. Red alarms first.
2. **Deployments**: what started must end; what waits must move.
3. The parts: API, steps, events, table, builds.

One deployment: \`sluice status\`, \`sluice logs --deployment <id>\`.`;

/** The ends of `functions/deployments/state.ts`. */
const ends = ['succeeded', 'rolled_back', 'failed', 'cancelled', 'superseded'] as const satisfies readonly EndStatus[];

function rowsOf({ watched, buildProjects }: DashboardOptions, refused: IMetric): readonly (readonly IWidget[])[] {
  const { prefix, stateMachine, jobMachine, httpApi, functions, table, deadLetterQueues } = watched;
  const sum: MetricOptions = { statistic: 'Sum', period: Duration.minutes(5) };
  const most: MetricOptions = { statistic: 'Maximum', period: Duration.minutes(5) };
  const slowest: MetricOptions = { statistic: 'p99', period: Duration.minutes(5) };
  return [
    [
      graph(
        'Deployments that ended, and how',
        ends.map((status) =>
          ownMetric(prefix, 'DeploymentSeconds', {
            ...sum,
            statistic: 'SampleCount',
            dimensionsMap: { Status: status },
            label: status,
          }),
        ),
      ),
      graph('Open deployments', [ownMetric(prefix, 'OpenDeployments', { ...most, label: 'open' })]),
      graph('The oldest that waits, in seconds', [
        ownMetric(prefix, 'OldestQueuedSeconds', { ...most, label: 'waits' }),
      ]),
    ],
    [
      graph('API: requests', [
        httpApi.metricCount({ ...sum, label: 'requests' }),
        httpApi.metricClientError({ ...sum, label: '4xx' }),
        refused,
        httpApi.metricServerError({ ...sum, label: '5xx' }),
      ]),
      graph('API: milliseconds', [
        httpApi.metricLatency({ ...slowest, label: 'p99' }),
        httpApi.metricLatency({ ...slowest, statistic: 'p50', label: 'p50' }),
      ]),
      graph('Executions lost, and lost work found', [
        stateMachine.metricFailed({ ...sum, label: 'deployments failed' }),
        jobMachine.metricFailed({ ...sum, label: 'jobs failed' }),
        ownMetric(prefix, 'ReconcileFindings', { ...sum, label: 'findings of reconcile' }),
      ]),
    ],
    [
      graph(
        'Functions: calls',
        each(functions, (fn, label) => fn.metricInvocations({ ...sum, label })),
      ),
      graph(
        'Functions: errors',
        each(functions, (fn, label) => fn.metricErrors({ ...sum, label })),
      ),
      graph(
        'Functions: milliseconds, p99',
        each(functions, (fn, label) => fn.metricDuration({ ...slowest, label })),
      ),
    ],
    [
      graph(
        'Functions: throttled',
        each(functions, (fn, label) => fn.metricThrottles({ ...sum, label })),
      ),
      graph('Table: units', [
        table.metricConsumedReadCapacityUnits({ ...sum, label: 'read' }),
        table.metricConsumedWriteCapacityUnits({ ...sum, label: 'written' }),
      ]),
      graph(
        'Events nobody could do anything with',
        each(deadLetterQueues, (queue, label) => queue.metricApproximateNumberOfMessagesVisible({ ...most, label })),
      ),
    ],
    [
      graph('Jobs of builds', [
        jobMachine.metricStarted({ ...sum, label: 'started' }),
        jobMachine.metricSucceeded({ ...sum, label: 'ended' }),
      ]),
      graph('Jobs of builds: milliseconds, longest', [jobMachine.metricTime({ ...most, label: 'longest' })]),
    ],
    [
      graph(
        'Builds',
        each(buildProjects, (project, label) => project.metricBuilds({ ...sum, label })),
      ),
      graph(
        'Builds that failed',
        each(buildProjects, (project, label) => project.metricFailedBuilds({ ...sum, label })),
      ),
      graph(
        'Builds: seconds, longest',
        each(buildProjects, (project, label) => project.metricDuration({ ...most, label })),
      ),
    ],
  ];
}

function graph(title: string, left: IMetric[]): GraphWidget {
  return new GraphWidget({ title, left, leftYAxis: { min: 0 }, width: 8, height: 6 });
}

function each<Part>(parts: Readonly<Record<string, Part>>, metric: (part: Part, label: string) => IMetric): IMetric[] {
  return Object.entries(parts).map(([name, part]) => metric(part, name));
}
