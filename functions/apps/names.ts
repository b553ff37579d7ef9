import { parseGlob } from './glob.ts';

/** What is wrong with a Git ref given by a person, as the words for what was expected; undefined when nothing is. */
export function refIssue(ref: string): string | undefined {
  const expected = 'a branch, tag or commit: no leading dash, no blanks, control characters, "..", or any of ~^:?*[\\';
  if (ref.length === 0 || ref.length > 255) return 'a branch, tag or commit of 1 to 255 characters';
  // The rules of git-check-ref-format(1), and no leading dash, by which a ref could pass for an option.
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f~^:?*[\\]/.test(ref) || !ref.isWellFormed()) return expected;
  if (ref.includes('..') || ref.includes('//') || ref.includes('@{') || ref === '@') return expected;
  if (/^[-/]|[/.]$/.test(ref)) return expected;
  if (ref.split('/').some((part) => part.startsWith('.') || part.endsWith('.lock'))) return expected;
  return undefined;
}

/** The same for a glob over branch or tag names: a ref in which `*`, `?`, `[…]` and `{…}` may stand (`glob.ts`). */
export function globIssue(glob: string): string | undefined {
  const expected = 'a branch or tag name, or a glob as release/* or {main,release/**}';
  // Elsewhere a leading ! means "all but"; here it would quietly match nothing.
  if (glob.startsWith('!') || !parseGlob(glob)) return expected;
  return refIssue(glob.replaceAll(/[*?[\]{},!]/g, 'x')) && expected;
}

/** The same for a path inside the source: relative, never leaving it, and not to be taken for an option. */
export function sourcePathIssue(path: string): string | undefined {
  const expected = 'a relative path inside the source, without "..", a leading dash or control characters';
  if (path.length === 0 || path.length > 1024) return 'a path of 1 to 1024 characters';
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f\\]/.test(path) || /^[-/]/.test(path) || !path.isWellFormed()) return expected;
  if (path.split('/').includes('..') || /^[A-Za-z]:/.test(path)) return expected;
  return undefined;
}

/** The same for a URL that is read or called: it is kept and shown, so it must not hold a password. */
export function webUrlIssue(text: string): string | undefined {
  const expected = 'an http or https URL of at most 2048 characters, without a user name, password or fragment';
  if (text.length > 2048 || !URL.canParse(text)) return expected;
  const { protocol, username, password, hash } = new URL(text);
  const isPlain = username === '' && password === '' && hash === '';
  return isPlain && (protocol === 'https:' || protocol === 'http:') ? undefined : expected;
}
