/**
 * A glob over branch and tag names. `*` is any characters but `/`, `**` any at all, `?` one but `/`, `[a-z]` and
 * `[!a-z]` one of a class, `{a,b}` either.
 *
 * Not picomatch: it makes a regular expression, and five stars against a branch name of 255 dashes keep that busy for
 * minutes. Who may push could so stop the control plane. This takes letters × tokens steps, whatever they are.
 */
export type Glob = { readonly alternatives: readonly (readonly Token[])[] };

type Token =
  | { readonly kind: 'letter'; readonly letter: string }
  | { readonly kind: 'one' }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] }
  | { readonly kind: 'many'; readonly slashes: boolean };

const mostAlternatives = 64;

/** Takes a glob apart; undefined when a bracket or brace is empty, nested or left open, or there are too many alternatives. */
export function parseGlob(text: string): Glob | undefined {
  const texts = expandBraces(text);
  const alternatives = texts?.map(tokensOf);
  return alternatives?.every((tokens) => tokens !== undefined) ? { alternatives } : undefined;
}

/** Whether the whole name fits the glob; a name fits itself. */
export function globMatches(glob: Glob, name: string): boolean {
  const letters = Array.from(name);
  return glob.alternatives.some((tokens) => fits(tokens, letters));
}

/** Follows all ways at once: after each token, which beginnings of the name it can have come to. */
function fits(tokens: readonly Token[], letters: readonly string[]): boolean {
  let reached = [true, ...letters.map(() => false)];
  for (const token of tokens) {
    const before = reached;
    reached = before.map(() => false);
    if (token.kind === 'many') reached[0] = before[0] === true;
    for (const [at, letter] of letters.entries()) {
      reached[at + 1] =
        token.kind === 'many'
          ? before[at + 1] === true || (reached[at] === true && (token.slashes || letter !== '/'))
          : before[at] === true && takes(token, letter);
    }
  }
  return reached.at(-1) === true;
}

function takes(token: Exclude<Token, { kind: 'many' }>, letter: string): boolean {
  if (token.kind === 'letter') return token.letter === letter;
  if (letter === '/') return false;
  return token.kind === 'one' || token.ranges.some(([from, to]) => from <= letter && letter <= to) !== token.negated;
}

function expandBraces(text: string): readonly string[] | undefined {
  let texts: readonly string[] = [''];
  for (const part of text.split(/(\{[^{}]*\})/)) {
    const isBraces = part.startsWith('{') && part.endsWith('}');
    if (!isBraces && /[{}]/.test(part)) return undefined;
    const choices = isBraces ? part.slice(1, -1).split(',') : [part];
    if (isBraces && choices.length < 2) return undefined;
    texts = texts.flatMap((head) => choices.map((choice) => head + choice));
    if (texts.length > mostAlternatives) return undefined;
  }
  return texts;
}

function tokensOf(text: string): readonly Token[] | undefined {
  const parts = text.match(/\*+|\[!?[^\][/]+\]|[^]/gu) ?? [];
  return parts.some((part) => part === '[' || part === ']') ? undefined : parts.map(tokenOf);
}

function tokenOf(part: string): Token {
  if (part === '?') return { kind: 'one' };
  if (part.startsWith('*')) return { kind: 'many', slashes: part.length > 1 };
  if (!part.startsWith('[')) return { kind: 'letter', letter: part };
  const negated = part.startsWith('[!');
  const ranges = part.slice(negated ? 2 : 1, -1).match(/[^]-[^]|[^]/gu) ?? [];
  return { kind: 'class', negated, ranges: ranges.map((range) => endsOf(Array.from(range))) };
}

function endsOf(range: readonly string[]): readonly [string, string] {
  return [range[0] ?? '', range.at(-1) ?? ''];
}
