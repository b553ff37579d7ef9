import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Aws } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { DefinitionBody, LogLevel, StateMachine, StateMachineType } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { buildProjectPrefix, stateMachineName } from '../functions/runtime/aws-names.ts';
import { acknowledgeGrants } from './acknowledge.ts';
import type { Arns } from './arns.ts';
import type { Settings } from './config.ts';
import { logGroupOptions } from './logs.ts';
import { workflowLogGroup } from './names.ts';
import { policyOf } from './permissions.ts';
import { workflowGrants } from './workflow-permissions.ts';

const definitionFile = join(import.meta.dirname, '../functions/workflow/deploy.asl.json');

/** What stands for `${…}` in the definition. */
export function substitutionsOf({ prefix, workflowFunction, buildRolePrefix }: Arns) {
  return {
    WorkflowFunction: workflowFunction,
    BuildProjectPrefix: buildProjectPrefix(prefix),
    BuildRolePrefix: buildRolePrefix,
  };
}

/** The state machine of deployments: the very definition that runs on one machine, too. */
export class DeployStateMachine extends StateMachine {
  constructor(scope: Construct, id: string, options: { readonly settings: Settings; readonly arns: Arns }) {
    const { settings, arns } = options;
    super(scope, id, {
      stateMachineName: stateMachineName(settings.prefix),
      // Standard: an execution may take days, and each transition is kept.
      stateMachineType: StateMachineType.STANDARD,
      definitionBody: DefinitionBody.fromString(readDefinition()),
      definitionSubstitutions: substitutionsOf(arns),
      role: workflowRole(scope, arns).withoutPolicyUpdates(),
      tracingEnabled: true,
      logs: {
        destination: new LogGroup(scope, `${id}Log`, {
          logGroupName: workflowLogGroup(settings.prefix),
          ...logGroupOptions(settings),
        }),
        level: LogLevel.ALL,
        // It would hold task tokens, by which anybody may answer a waiting state.
        includeExecutionData: false,
      },
    });
  }
}

/** Without its layout: a definition has a limit of 1 MiB, and CloudFormation compares it as text. */
export function readDefinition(): string {
  return JSON.stringify(JSON.parse(readFileSync(definitionFile, 'utf8')));
}

function workflowRole(scope: Construct, arns: Arns): Role {
  const grants = workflowGrants(arns);
  const role = new Role(scope, 'DeployRole', {
    assumedBy: new ServicePrincipal('states.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
    }),
    description: 'What the state machine of Sluice may do; see infra/permissions.ts',
    inlinePolicies: { calls: policyOf(grants) },
  });
  acknowledgeGrants(role, grants);
  return role;
}
