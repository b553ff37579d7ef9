/**
 * What is wrong with an image reference (`[host[:port]/]path[:tag][@sha256:…]`), as the words for what was expected;
 * undefined when nothing is. The grammar of the distribution project's reference package
 * (https://pkg.go.dev/github.com/distribution/reference): no leading dash, so none passes for an option.
 */
export function imageReferenceIssue(text: string): string | undefined {
  const expected = 'an image reference: name, registry.example/name:tag or name@sha256:<64 hex digits>, all lower case';
  if (text.length === 0 || text.length > 512) return 'an image reference of 1 to 512 characters';
  const match = referencePattern.exec(text);
  // 64 bare hex digits would name an image of this machine by its id.
  if (!match || /^[0-9a-f]{64}$/.test(text)) return expected;
  return (match.groups?.['name']?.length ?? 0) > 255 ? 'an image name of at most 255 characters' : undefined;
}

const hostPart = '(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])';
const host = String.raw`(?:${hostPart}(?:\.${hostPart})*|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?`;
const pathPart = '[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*';
const referencePattern = new RegExp(
  String.raw`^(?<name>(?:${host}/)?${pathPart}(?:/${pathPart})*)(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`,
);
