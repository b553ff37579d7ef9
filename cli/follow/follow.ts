import type { DeploymentView } from '../../functions/api/shapes.ts';
import { exitCodes, type ExitCode } from '../exit.ts';
import { Interrupted, NotReachable } from '../failures.ts';
import type { Session } from '../session.ts';
import { createJsonReporter } from './json-reporter.ts';
import { createLiveReporter } from './live-reporter.ts';
import { createPlainReporter } from './plain-reporter.ts';
import type { Reporter } from './reporter.ts';
import { watchDeployment } from './watch.ts';

/** Follows a deployment to its end. Ctrl-C stops following and nothing else. */
export async function followDeployment(session: Session, id: string): Promise<ExitCode> {
  const { world } = session;
  const client = await session.client();
  const stop = new AbortController();
  const letGo = world.onInterrupt(() => stop.abort());
  const reporter = createReporter(session);
  try {
    const countsEverySeconds = session.style.live ? 1 : undefined;
    const view = await watchDeployment(id, { client, world, reporter, signal: stop.signal, countsEverySeconds });
    reporter.end(view);
    return exitCodeOf(view);
  } catch (error) {
    if (stop.signal.aborted) {
      throw new Interrupted('Stopped following; the deployment goes on.', {
        hint: `  Follow it again: sluice follow ${id}\n  Cancel it:       sluice cancel ${id}`,
      });
    }
    if (!(error instanceof NotReachable)) throw error;
    throw new NotReachable(error.message, { hint: `The deployment may go on: sluice follow ${id}`, cause: error });
  } finally {
    reporter.close();
    letGo();
  }
}

export function exitCodeOf({ status }: Pick<DeploymentView, 'status'>): ExitCode {
  return status === 'succeeded' ? exitCodes.done : exitCodes.failed;
}

function createReporter(session: Session): Reporter {
  if (session.json) return createJsonReporter(session);
  return session.style.live ? createLiveReporter(session) : createPlainReporter(session);
}
