/** The value of a header such as `Content-Type` or `Content-Disposition`: `type; name=value; other="quoted value"`. */
export type ParameterValue = {
  /** In lower case. */
  readonly type: string;
  /** By names in lower case; undefined when one is given twice or what stands there is no list of parameters. */
  readonly parameters: ReadonlyMap<string, string> | undefined;
};

const token = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const quoted = /"(?:[^"\\]|\\.)*"/y;
const unquoted = /[^\s;"]+/y;
const separator = /\s*;\s*/y;

/** Reads it by RFC 9110, section 5.6.6, and takes any unquoted text without spaces for a value, as clients send it. */
export function parameterValue(text: string): ParameterValue {
  const [head = ''] = text.split(';', 1);
  return { type: head.trim().toLowerCase(), parameters: parametersOf(text.trim(), head.trim().length) };
}

function parametersOf(text: string, start: number): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>();
  let at = start;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const [taken] = pattern.exec(text) ?? [];
    at += taken?.length ?? 0;
    return taken;
  };
  while (at < text.length) {
    if (take(separator) === undefined) return undefined;
    if (at === text.length) break; // a semicolon at the end means nothing
    const name = take(token)?.toLowerCase();
    if (name === undefined || text[at] !== '=' || found.has(name)) return undefined;
    at += 1;
    const value = take(quoted)?.slice(1, -1).replaceAll(/\\(.)/g, '$1') ?? take(unquoted);
    if (value === undefined) return undefined;
    found.set(name, value);
  }
  return found;
}
