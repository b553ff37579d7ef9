/** A line of the structured log, as it was parsed. */
export type LogEntry = Readonly<Record<string, unknown>> & {
  readonly level: string;
  /** ISO 8601. */
  readonly time: string;
  readonly message: string;
};

/**
 * A log entry as a person reads it: the local time, the level where it is not `info`, the message and its fields.
 * Undefined for a request that only read and went well, unless `withReads`: whoever follows a deployment makes many.
 */
export function terminalLine(entry: LogEntry, { withReads }: { withReads: boolean }): string | undefined {
  const { level, time, message, ...fields } = entry;
  if (message === 'request')
    return isQuietRead(fields) && !withReads ? undefined : join(time, level, requestText(fields));
  return join(time, level, [plain(message), ...Object.entries(fields).filter(isTold).map(fieldText)].join('  '));
}

function join(time: string, level: string, text: string): string {
  return [clockText(new Date(time)), ...(level === 'info' ? [] : [level.toUpperCase()]), text].join('  ');
}

function clockText(at: Date): string {
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

type Fields = Readonly<Record<string, unknown>>;

function isQuietRead({ method, status }: Fields): boolean {
  return (method === 'GET' || method === 'HEAD') && Number(status) < 400;
}

/** The request's id is what finds the lines about it: needed only where something went wrong. */
function requestText({ method, route, status, ms, principal, requestId }: Fields): string {
  const by = typeof principal === 'string' ? `, by ${principal}` : '';
  const id = Number(status) >= 500 ? `, request ${String(requestId)}` : '';
  return plain(`${String(method)} ${String(route)} ${String(status)} in ${String(ms)} ms${by}${id}`);
}

function isTold([, value]: readonly [string, unknown]): boolean {
  return value !== '' && value !== null;
}

function fieldText([name, value]: readonly [string, unknown]): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return plain(`${name}=${/^[^\s"]+$/.test(text) ? text : JSON.stringify(text)}`);
}

/** Without what a terminal would obey: a name or a reason may come from anywhere. */
function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the control characters are what it is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}
