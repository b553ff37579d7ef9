export type CgiHead = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** What came of the body already. */
  readonly rest: Buffer;
};

/** The head of a CGI program's answer (RFC 3875, section 6.2); undefined while it is not whole. */
export function parseHead(bytes: Buffer): CgiHead | undefined {
  const text = bytes.toString('latin1');
  const end = /\r?\n\r?\n/.exec(text);
  if (!end) return undefined;
  const lines = text.slice(0, end.index).split(/\r?\n/);
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  const { status, ...others } = Object.fromEntries(headers.filter(([name]) => name !== ''));
  return {
    status: status === undefined ? 200 : Number.parseInt(status, 10),
    headers: others,
    rest: bytes.subarray(end.index + end[0].length),
  };
}
