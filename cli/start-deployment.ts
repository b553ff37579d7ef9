import type { DeploymentView } from '../functions/api/shapes.ts';
import type { Client } from './client.ts';
import { exitCodes, type ExitCode } from './exit.ts';
import { NotReachable } from './failures.ts';
import { followDeployment } from './follow/follow.ts';
import { headLine } from './follow/sentences.ts';
import type { Session } from './session.ts';

export type Start = {
  readonly follow: boolean;
  readonly start: (client: Client) => Promise<DeploymentView>;
  /** The call that shows whether the deployment was taken when its answer was lost. */
  readonly lostHint: string;
};

/** Asks for a deployment and, unless told otherwise, follows it to its end. */
export async function startDeployment(session: Session, { follow, start, lostHint }: Start): Promise<ExitCode> {
  const client = await session.client();
  const deployment = await surely(start(client), lostHint);
  if (follow) return await followDeployment(session, deployment.id);
  if (session.json) session.document(deployment);
  else {
    session.line(`${headLine(deployment)}: ${deployment.status}.`);
    session.note(`Follow it: sluice follow ${deployment.id}`);
  }
  return exitCodes.done;
}

/** A deployment is never asked for twice by itself, so whoever loses the answer is told how to look. */
async function surely(starting: Promise<DeploymentView>, lostHint: string): Promise<DeploymentView> {
  try {
    return await starting;
  } catch (error) {
    if (!(error instanceof NotReachable) || !error.mayBeDone) throw error;
    throw new NotReachable(error.message, {
      hint: `It may have been taken all the same; see: ${lostHint}`,
      cause: error,
    });
  }
}
