import { abandon } from './abandon.ts';
import { acquire } from './acquire.ts';
import { awaitBuildTurn } from './await-build-turn.ts';
import { awaitChange } from './await-change.ts';
import { breakJob } from './break-job.ts';
import { drained } from './drained.ts';
import { finish } from './finish.ts';
import { observe } from './observe.ts';
import { plan } from './plan.ts';
import { recordBuild } from './record-build.ts';
import { recordCheck } from './record-check.ts';
import { resolve } from './resolve.ts';
import { revert } from './revert.ts';
import { startRollout } from './start-rollout.ts';
import { asStepError, type Step } from './step.ts';
import { verify } from './verify.ts';
import { workOnJob } from './work-on-job.ts';
import type { WorkflowPorts } from '../ports/ports.ts';

/** The steps by the names that `deploy.asl.json` and `job.asl.json` give them, which are those of their files. */
const steps = {
  abandon,
  acquire,
  'await-build-turn': awaitBuildTurn,
  'await-change': awaitChange,
  'break-job': breakJob,
  drained,
  finish,
  observe,
  plan,
  'record-build': recordBuild,
  'record-check': recordCheck,
  resolve,
  revert,
  'start-rollout': startRollout,
  verify,
  'work-on-job': workOnJob,
} as const;

export type StepName = keyof typeof steps;

/** Runs the step that a payload of the definition names. Throws `StepFailed` to be caught by name, anything else to be tried again. */
export async function runStep(
  ports: WorkflowPorts,
  payload: { readonly step: string },
): Promise<Readonly<Record<string, unknown>>> {
  const step = Object.hasOwn(steps, payload.step) ? (steps[payload.step as StepName] as Step<unknown>) : undefined;
  if (!step) throw new Error(`The workflow names a step that does not exist: ${payload.step}`);
  try {
    return await step(ports, payload);
  } catch (error) {
    throw asStepError(error);
  }
}
