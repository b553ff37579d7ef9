import * as v from 'valibot';
import type { WorkflowPorts } from '../ports/ports.ts';
import { messageOf, StepFailed } from '../runtime/errors.ts';
import { maxReasonCharacters } from '../workflow/step.ts';
import { runStep } from '../workflow/steps.ts';

const payloadSchema = v.looseObject({ step: v.string() });

export type StepHandler = (payload: unknown) => Promise<Readonly<Record<string, unknown>>>;

/**
 * Runs the step that a payload names. What it throws reaches Step Functions by its name, which a Catch matches, and its
 * sentence: Lambda makes `errorType` and `errorMessage` of an error's `name` and `message`, and Step Functions takes the
 * first as `Error` and the whole as `Cause`, which `causeOf` reads.
 * https://docs.aws.amazon.com/lambda/latest/dg/nodejs-exceptions.html
 * https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
 */
export function stepHandler(ports: WorkflowPorts): StepHandler {
  return async (payload) => {
    const parsed = v.safeParse(payloadSchema, payload);
    if (!parsed.success) throw new Error('The payload names no step of the workflow');
    const { step, deploymentId } = parsed.output;
    try {
      return await runStep(ports, parsed.output);
    } catch (error) {
      const reason = messageOf(error);
      const level = error instanceof StepFailed ? 'info' : 'warn';
      ports.log[level]('a step ended with an error', { step, deploymentId, error: nameOf(error), reason });
      throw failureOf(error);
    }
  };
}

/** Without a stack, which Lambda would add to the cause: Step Functions takes 32 KiB of it. */
function failureOf(error: unknown): Error {
  const failure = new Error(messageOf(error).slice(0, maxReasonCharacters).toWellFormed(), { cause: error });
  failure.name = nameOf(error);
  failure.stack = '';
  return failure;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'Error';
}
