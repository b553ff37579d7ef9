import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Aws } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { DefinitionBody, LogLevel, StateMachine, StateMachineType } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { buildProjectPrefix, jobMachineName, stateMachineName } from '../functions/runtime/aws-names.ts';
import { acknowledgeGrants } from './acknowledge.ts';
import type { Arns } from './arns.ts';
import type { Settings } from './config.ts';
import { logGroupOptions } from './logs.ts';
import { stateMachineLogGroup } from './names.ts';
import { policyOf } from './permissions.ts';
import { workflowGrants } from './workflow-permissions.ts';

/** What runs by a definition: deployments, and jobs of the builds service. */
export const machineNames = ['deploy', 'job'] as const;
export type MachineName = (typeof machineNames)[number];

const names: Record<MachineName, (prefix: string) => string> = { deploy: stateMachineName, job: jobMachineName };

export type ControlStateMachineOptions = {
  readonly settings: Settings;
  readonly arns: Arns;
  readonly machine: MachineName;
};

/** What stands for `${…}` in the definitions. */
export function substitutionsOf({ prefix, workflowFunction, buildRolePrefix }: Arns) {
  return {
    WorkflowFunction: workflowFunction,
    BuildProjectPrefix: buildProjectPrefix(prefix),
    BuildRolePrefix: buildRolePrefix,
  };
}

/** A state machine of the very definition that runs on one machine, too: `functions/workflow/<machine>.asl.json`. */
export class ControlStateMachine extends StateMachine {
  constructor(scope: Construct, id: string, { settings, arns, machine }: ControlStateMachineOptions) {
    const stateMachineName = names[machine](settings.prefix);
    super(scope, id, {
      stateMachineName,
      // Standard: an execution may take days, and each transition is kept.
      stateMachineType: StateMachineType.STANDARD,
      definitionBody: DefinitionBody.fromString(readDefinition(machine)),
      definitionSubstitutions: substitutionsOf(arns),
      role: roleOf(scope, `${id}Role`, { arns, machine }).withoutPolicyUpdates(),
      tracingEnabled: true,
      logs: {
        destination: new LogGroup(scope, `${id}Log`, {
          logGroupName: stateMachineLogGroup(stateMachineName),
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
export function readDefinition(machine: MachineName): string {
  const file = join(import.meta.dirname, '../functions/workflow', `${machine}.asl.json`);
  return JSON.stringify(JSON.parse(readFileSync(file, 'utf8')));
}

const descriptions: Record<MachineName, string> = {
  deploy: 'What the state machine of Sluice may do; see infra/permissions.ts',
  job: 'What the state machine of jobs of Sluice may do; see infra/workflow-permissions.ts',
};

function roleOf(
  scope: Construct,
  id: string,
  { arns, machine }: { readonly arns: Arns; readonly machine: MachineName },
): Role {
  const grants = workflowGrants(machine, arns);
  const role = new Role(scope, id, {
    assumedBy: new ServicePrincipal('states.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
    }),
    description: descriptions[machine],
    inlinePolicies: { calls: policyOf(grants) },
  });
  acknowledgeGrants(role, grants);
  return role;
}
