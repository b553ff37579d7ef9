import type { OutputLogEvent } from '@aws-sdk/client-cloudwatch-logs';
import type { LogLine } from '../ports/builder.ts';

/** CodeBuild's phases in the order in which a build passes them. */
export const logPhases = [
  'submitted',
  'queued',
  'provisioning',
  'download_source',
  'install',
  'pre_build',
  'build',
  'post_build',
  'upload_artifacts',
  'finalizing',
  'completed',
] as const;
export type LogPhase = (typeof logPhases)[number];
/** Of a log's first lines: there is no log before. */
export const firstPhase: LogPhase = 'provisioning';

/** A longer line is cut, as on one machine: one line of a minified file must not fill a page. */
const longestLine = 16 * 1024;

/**
 * The lines of log events, each with its phase; pure. CodeBuild itself writes where a phase begins:
 * `[Container] 2025/12/14 22:48:34.187218 Entering phase PRE_BUILD`. An app's command can write the same, so a phase is
 * believed only when it is a later one; at worst that app's own lines name a phase too late.
 * https://docs.aws.amazon.com/codebuild/latest/userguide/getting-started-build-log-console.html
 */
export function linesOf(
  events: readonly OutputLogEvent[],
  from: LogPhase,
): { readonly lines: readonly LogLine[]; readonly phase: LogPhase } {
  let phase = from;
  const lines: LogLine[] = [];
  for (const { timestamp = 0, message = '' } of events) {
    for (const text of message.replace(/\r?\n$/, '').split(/\r\n|\n|\r(?!$)/)) {
      phase = phaseAfter(phase, text);
      lines.push({ at: timestamp, phase, text: cut(text) });
    }
  }
  return { lines, phase };
}

function phaseAfter(phase: LogPhase, text: string): LogPhase {
  const told = /^\[Container\] \S+ \S+ (?:Entering phase|Phase is|Phase complete:) ([A-Z_]+)/.exec(text)?.[1];
  const at = logPhases.findIndex((name) => name === told?.toLowerCase());
  return at > logPhases.indexOf(phase) ? (logPhases[at] ?? phase) : phase;
}

function cut(line: string): string {
  return line.length > longestLine ? `${line.slice(0, longestLine).toWellFormed()} … (cut)` : line;
}
