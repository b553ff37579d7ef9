import type { DeploymentView } from '../../functions/api/shapes.ts';
import { path } from '../client.ts';
import { WrongUse } from '../failures.ts';
import { buildLineText, endLines, eventLine, headLine } from '../follow/sentences.ts';
import type { Session } from '../session.ts';
import { buildLines } from './build-output.ts';

/** Prints what the build of a deployment has printed and then its timeline; of one target only the timeline. */
export async function showDeployment(session: Session, id: string, target: string | undefined): Promise<void> {
  const client = await session.client();
  const view = await client.get<DeploymentView>(path`/api/v1/deployments/${id}`);
  if (target !== undefined && !view.targets.some(({ name }) => name === target)) {
    throw new WrongUse(`The deployment has no target ${target}.`);
  }
  const lines = target === undefined && view.build ? await buildLines(client, view.build.id) : [];
  const events = view.timeline.filter((event) => target === undefined || event.target === target);
  if (session.json) return session.document({ deployment: id, status: view.status, lines, events });
  session.line(headLine(view));
  for (const line of lines) session.line(buildLineText(line, session.style));
  for (const event of events) session.line(eventLine(event, session.style));
  if (view.endedAt !== null) session.line(endLines(view, session.style)[0]);
}
