import type { Workflow } from '../ports/workflow.ts';
import { executions, readyToRun, type StateMachine } from './executions.ts';
import { answerTokens } from './task-tokens.ts';

/**
 * The Workflow port on Step Functions, whole; of a Standard state machine, as others start executions more than once.
 * An entry point may take its parts instead.
 */
export function stepFunctionsWorkflow(machine: StateMachine): Workflow {
  return { ...executions(machine), ...answerTokens(machine.client), ...readyToRun(machine) };
}
