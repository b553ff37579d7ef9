import type { LogPage } from '../ports/builder.ts';
import { isoTime } from '../runtime/units.ts';
import type { LogView } from './shapes.ts';

/** A page of a log as the API shows it. */
export function logView({ lines, next, done }: LogPage): LogView {
  return { lines: lines.map(({ at, phase, text }) => ({ at: isoTime(at), phase, text })), next, done };
}
