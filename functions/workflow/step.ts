import type { Deployment } from '../deployments/deployment.ts';
import { isEnd } from '../deployments/state.ts';
import { getDeployment } from '../deployments/store.ts';
import type { WorkflowPorts } from '../ports/ports.ts';
import { Problem, StepFailed } from '../runtime/errors.ts';

/**
 * A step of `deploy.asl.json` or `job.asl.json`: takes identifiers, answers with a few plain values. Safe to run again at any time.
 * It leaves the straight way by throwing `StepFailed`, whose name the definition's Catch matches.
 */
export type Step<Input> = (ports: WorkflowPorts, input: Input) => Promise<Readonly<Record<string, unknown>>>;

export type DeploymentInput = { readonly deploymentId: string };
/** Of `job.asl.json`: the id is the job's, as text. */
export type JobInput = { readonly jobId: string };
export type TargetInput = DeploymentInput & { readonly target: string };
/** What a Catch passes on. */
export type CaughtError = { readonly Error: string; readonly Cause?: string };

/** What somebody else has to say is cut to this: a record has its limit, and its deployment must always be able to end. */
export const maxReasonCharacters = 2000;

/** The sentence in a caught error: a Lambda's arrives as the JSON of its errorMessage, ours from a token as it is. */
export function causeOf({ Error: name, Cause }: CaughtError): string {
  const message = /^\s*\{/.test(Cause ?? '') ? errorMessageIn(Cause ?? '') : Cause;
  return (message || name).slice(0, maxReasonCharacters);
}

function errorMessageIn(json: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(json);
    const has = parsed !== null && typeof parsed === 'object' && 'errorMessage' in parsed;
    return has && typeof parsed.errorMessage === 'string' ? parsed.errorMessage : json;
  } catch {
    return json;
  }
}

/** The deployment, if it is still wanted; throws `StepFailed` when it was cancelled, has ended, or is being undone. */
export async function getWanted(ports: Pick<WorkflowPorts, 'records'>, id: string): Promise<Deployment> {
  return stillWanted(await getDeployment(ports.records, id));
}

export function stillWanted(deployment: Deployment): Deployment {
  const { state, cancel } = deployment;
  if (cancel) throw new StepFailed('Cancelled', `Cancelled by ${cancel.by}`);
  if (isEnd(state)) throw new StepFailed('Interrupted', `The deployment has ended already: ${state.status}`);
  if (state.status === 'rolling_back') throw new StepFailed('Interrupted', state.reason);
  return deployment;
}

/** What did not answer, or had too much to do: the definition tries it again for longer than what failed. */
export class Busy extends Error {
  override readonly name = 'Busy';
}

/** A refusal that will be the same next time is a failure of the step; one that may pass is tried again. */
export function asStepError(error: unknown): unknown {
  if (!(error instanceof Problem)) return error;
  if (error.kind === 'busy') return new Busy(error.message, { cause: error });
  return new StepFailed('ArtifactUnusable', error.message, { cause: error });
}
