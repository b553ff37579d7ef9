import type { DeploymentView } from '../functions/api/shapes.ts';
import type { Client } from './client.ts';
import { exitCodes, type ExitCode } from './exit.ts';
import { followDeployment } from './follow/follow.ts';
import { headLine } from './follow/sentences.ts';
import type { Session } from './session.ts';
import { surely } from './surely.ts';

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
