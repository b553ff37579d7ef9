import { SendTaskFailureCommand, SendTaskSuccessCommand, type SFNClient } from '@aws-sdk/client-sfn';
import type { Workflow } from '../ports/workflow.ts';
import { answered, isNamed } from './client.ts';
import { workflowWords } from './executions.ts';
import { taskFailureInput, taskSuccessInput } from './workflow-requests.ts';
import { Problem } from '../runtime/errors.ts';

/**
 * Answers states that wait with a task token. A token is a credential: whoever has it can answer. It is in no message
 * and in no error's cause; what Step Functions says of a call that it refuses may quote it, so that is not passed on.
 */
export function answerTokens(client: SFNClient): Pick<Workflow, 'resume' | 'fail'> {
  return { ...resumeTokens(client), ...failTokens(client) };
}

export function resumeTokens(client: SFNClient): Pick<Workflow, 'resume'> {
  return {
    async resume(token, output) {
      if (!couldBeToken(token)) return false;
      const input = taskSuccessInput(token, output);
      return await isTaken(client.send(new SendTaskSuccessCommand(input)));
    },
  };
}

function failTokens(client: SFNClient): Pick<Workflow, 'fail'> {
  return {
    async fail(token, error) {
      if (!couldBeToken(token)) return false;
      return await isTaken(client.send(new SendTaskFailureCommand(taskFailureInput(token, error))));
    },
  };
}

/** The length that the service accepts. */
function couldBeToken(token: string): boolean {
  return token.length >= 1 && token.length <= 2048;
}

/**
 * False when nobody waits any more. An answer that was lost is repeated by the SDK, and the repeated one finds the state
 * gone on: by us, most likely, so after a repetition it counts as taken. Whoever waits in vain waits again by a token of
 * its own; the other mistake would give one turn to two.
 */
async function isTaken(call: Promise<unknown>): Promise<boolean> {
  try {
    await answered(workflowWords, call);
    return true;
  } catch (error) {
    if (isNamed(error, 'TaskTimedOut', 'TaskDoesNotExist')) return wasRepeated(error);
    if (isNamed(error, 'InvalidToken')) return false;
    if (error instanceof Problem) throw new Problem(error.kind, error.message);
    // Its message may quote the token, and it must not be logged as a cause either.
    // oxlint-disable-next-line eslint/preserve-caught-error
    throw new Error(`Step Functions refused the answer to a waiting state: ${(error as Error).name}`);
  }
}

function wasRepeated(error: unknown): boolean {
  const { $metadata } = error as { readonly $metadata?: { readonly attempts?: number } };
  return ($metadata?.attempts ?? 1) > 1;
}
