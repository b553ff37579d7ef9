import { terminalLine, type LogEntry } from './terminal-line.ts';
import { writeLines } from './write-lines.ts';

/** Structured logs: a message that does not vary, and fields that do. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds these fields to every line. */
  with(fields: LogFields): Log;
}
export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Fields that are never written, whoever passes them and however deep: a net beneath the rule that nobody does. */
const secretFields = new Set(['authorization', 'cookie', 'token', 'password', 'secret', 'value', 'privateKey', 'key']);
const levels = ['debug', 'info', 'warn', 'error', 'silent'] as const satisfies readonly LogLevel[];

/** JSON lines on a file descriptor (default 1, standard output). */
export function jsonLog(options: { level: LogLevel; fd?: number }): Log {
  return logTo(writeLines(options.fd ?? 1), options.level);
}

/** Short lines for a person at a terminal; requests that only read, and went well, are shown at `debug` alone. */
export function terminalLog(options: { level: LogLevel; write: (text: string) => void }): Log {
  const withReads = options.level === 'debug';
  const write = (json: string) => {
    const line = terminalLine(JSON.parse(json) as LogEntry, { withReads });
    if (line !== undefined) options.write(`${line}\n`);
  };
  return logTo(write, options.level);
}

/** A log that keeps nothing. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLog,
};

/**
 * Both forms come of the same JSON, so that what is never written is written in neither. Written here and not by a
 * library: it is this much, and the library for it took 10 ms of a function's cold start.
 */
function logTo(write: (line: string) => void, least: LogLevel, own: LogFields = {}): Log {
  const at = (level: Exclude<LogLevel, 'silent'>) => {
    if (levels.indexOf(level) < levels.indexOf(least)) return () => {};
    return (message: string, fields: LogFields = {}) => write(lineOf(level, message, { ...own, ...fields }));
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (fields) => logTo(write, least, { ...own, ...fields }),
  };
}

/** A log must not break what it tells of: fields that are no JSON are left out, and that is said. */
function lineOf(level: LogLevel, message: string, fields: LogFields): string {
  const entry = (fields: LogFields) =>
    `${JSON.stringify({ level, time: new Date().toISOString(), ...fields, message }, withoutSecrets)}\n`;
  try {
    return entry(fields);
  } catch {
    return entry({ unwritable: Object.keys(fields) });
  }
}

function withoutSecrets(name: string, value: unknown): unknown {
  return secretFields.has(name) && value !== undefined ? '***' : value;
}
