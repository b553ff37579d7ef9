import type { Session } from '../session.ts';
import type { Reporter } from './reporter.ts';

/** A line of JSON per event and build line; `type` tells them apart, and the last line is the deployment. */
export function createJsonReporter(session: Session): Reporter {
  let deployment = '';
  return {
    view: (view) => void (deployment = view.id),
    event: (event) => session.document({ type: 'event', deployment, ...event }),
    buildLine: (build, line) => session.document({ type: 'log', deployment, build, ...line }),
    lost: () => {},
    found: () => {},
    note: () => {},
    end: (view) => session.document({ type: 'deployment', ...view }),
    close: () => {},
  };
}
