import { destination, pino, type DestinationStream, type Logger } from 'pino';
import { terminalLine, type LogEntry } from './terminal-line.ts';

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

/** Fields that are never written, whoever passes them: a net beneath the rule that nobody does. */
const secretFields = ['authorization', 'cookie', 'token', 'password', 'secret', 'value', 'privateKey', 'key'];

/** JSON lines on a file descriptor (default 1, standard output). */
export function jsonLog(options: { level: LogLevel; fd?: number }): Log {
  return logTo(destination({ fd: options.fd ?? 1, sync: true }), options.level);
}

/** Short lines for a person at a terminal; requests that only read, and went well, are shown at `debug` alone. */
export function terminalLog(options: { level: LogLevel; write: (text: string) => void }): Log {
  const withReads = options.level === 'debug';
  const write = (json: string) => {
    const line = terminalLine(JSON.parse(json) as LogEntry, { withReads });
    if (line !== undefined) options.write(`${line}\n`);
  };
  return logTo({ write }, options.level);
}

/** Both forms come of the same JSON, so that what is never written is written in neither. */
function logTo(stream: DestinationStream, level: LogLevel): Log {
  return wrap(
    pino(
      {
        level,
        base: null,
        messageKey: 'message',
        timestamp: () => `,"time":"${new Date().toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
        redact: { paths: secretFields.flatMap((name) => [name, `*.${name}`]), censor: '***' },
      },
      stream,
    ),
  );
}

/** A log that keeps nothing. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLog,
};

function wrap(logger: Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    with: (fields) => wrap(logger.child(fields)),
  };
}
