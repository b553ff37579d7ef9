import type { Session } from '../session.ts';
import type { Reporter } from './reporter.ts';
import { buildLineText, endLines, eventLine, headLine } from './sentences.ts';

/** A line for everything that happens, for logs and pipes; nothing is ever drawn again. */
export function createPlainReporter(session: Session): Reporter {
  let headed = false;
  return {
    view: (view) => {
      if (!headed) session.line(headLine(view));
      headed = true;
    },
    event: (event) => session.line(eventLine(event, session.style)),
    buildLine: (_build, line) => session.line(buildLineText(line, session.style)),
    lost: () => session.note('The connection is lost; trying again …'),
    found: () => session.note('The connection is back.'),
    note: session.note,
    end: (view) => endLines(view, session.style).forEach((line) => session.line(line)),
    close: () => {},
  };
}
