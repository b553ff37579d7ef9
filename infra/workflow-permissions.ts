import type { Arns } from './arns.ts';
import type { Grant } from './permissions.ts';
import type { MachineName } from './state-machine.ts';

/**
 * What a state machine may do. `codebuild:startBuild.sync` needs to see the end of a build, by event and by asking:
 * https://docs.aws.amazon.com/step-functions/latest/dg/connect-codebuild.html
 */
export function workflowGrants(machine: MachineName, arns: Arns): readonly Grant[] {
  const projects = arns.buildsOf(machine);
  return [
    { by: 'service', actions: ['lambda:InvokeFunction'], on: [arns.workflowFunction] },
    {
      by: 'service',
      actions: ['codebuild:StartBuild'],
      on: projects,
      // A build runs the project's own commands and nothing else. https://docs.aws.amazon.com/codebuild/latest/userguide/action-context-keys.html
      conditions: { Null: { 'codebuild:source.buildspec': 'true' } },
    },
    { by: 'service', actions: ['codebuild:StopBuild', 'codebuild:BatchGetBuilds'], on: projects },
    {
      by: 'service',
      actions: ['events:PutTargets', 'events:PutRule', 'events:DescribeRule'],
      on: [arns.buildEndsRule],
    },
    {
      by: 'service',
      actions: ['iam:PassRole'],
      within: [arns.buildRoles],
      conditions: { StringEquals: { 'iam:PassedToService': 'codebuild.amazonaws.com' } },
      because: 'Apps make the roles of their builds under this path, and no other role is there.',
    },
    {
      by: 'service',
      actions: [
        'logs:CreateLogDelivery',
        'logs:GetLogDelivery',
        'logs:UpdateLogDelivery',
        'logs:DeleteLogDelivery',
        'logs:ListLogDeliveries',
        'logs:PutResourcePolicy',
        'logs:DescribeResourcePolicies',
        'logs:DescribeLogGroups',
      ],
      within: ['*'],
      because:
        'AWS grants the delivery of logs on no resource: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html',
    },
    {
      by: 'service',
      actions: [
        'xray:PutTraceSegments',
        'xray:PutTelemetryRecords',
        'xray:GetSamplingRules',
        'xray:GetSamplingTargets',
      ],
      within: ['*'],
      because: 'AWS grants these on no resource: https://docs.aws.amazon.com/step-functions/latest/dg/xray-iam.html',
    },
  ];
}
