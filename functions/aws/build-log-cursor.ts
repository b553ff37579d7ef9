import * as v from 'valibot';
import { Problem } from '../runtime/errors.ts';
import { firstPhase, logPhases, type LogPhase } from './build-log-lines.ts';

/** Where a reader stands in a build's log. */
export type LogPosition = {
  /** Whose log it is; empty before the build has one. */
  readonly runId: string;
  /** CloudWatch's own token; undefined at the head. It lives for 24 hours. */
  readonly token: string | undefined;
  /** Lines after the token that were given already. */
  readonly skip: number;
  /** The phase of the line before the token. */
  readonly phase: LogPhase;
};

export const headOf = (runId: string): LogPosition => ({ runId, token: undefined, skip: 0, phase: firstPhase });

const partsSchema = v.strictTuple([
  v.string(),
  v.pipe(v.string(), v.maxLength(300)),
  v.pipe(v.string(), v.maxLength(1000)),
  v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000_000)),
  v.picklist(logPhases),
]);

/**
 * A position as an opaque word: base64url of a JSON list of build, run, token (or ''), skipped lines and phase. It is
 * taken for the same build only. Neither log group nor stream is in it: it cannot lead into another log.
 */
export function encodeLogCursor(buildId: string, { runId, token, skip, phase }: LogPosition): string {
  return Buffer.from(JSON.stringify([buildId, runId, token ?? '', skip, phase])).toString('base64url');
}

/** Throws `Problem('invalid')` for a cursor that no page of this build's log gave. */
export function decodeLogCursor(buildId: string, cursor: string | undefined): LogPosition {
  if (cursor === undefined || cursor === '') return headOf('');
  const parsed = v.safeParse(partsSchema, parse(cursor));
  if (!parsed.success || parsed.output[0] !== buildId) throw notOurs();
  const [, runId, token, skip, phase] = parsed.output;
  return { runId, token: token === '' ? undefined : token, skip, phase };
}

export function notOurs(): Problem {
  const expected = 'the next of a page before, of the same build and less than a day old';
  return new Problem('invalid', `after: expected ${expected}`, { issues: [{ field: 'after', expected }] });
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown;
  } catch {
    return undefined;
  }
}
