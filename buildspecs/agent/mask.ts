/**
 * Replaces secrets in a line of output by `***`: the value itself, each longer line of it, and the forms in which tools
 * repeat it (base64, as in an Authorization header, and percent-encoded). Values under 4 characters would blot out
 * half of every log and are no secrets anyhow.
 */
export function maskSecrets(secrets: readonly string[]): (line: string) => string {
  const forms = new Set(secrets.flatMap(formsOf).filter((form) => form.length >= 4));
  // The longest first: a form that holds another one must not leave its ends behind.
  const ordered = [...forms].sort((a, b) => b.length - a.length);
  return (line) => ordered.reduce((masked, form) => masked.replaceAll(form, '***'), line);
}

function formsOf(secret: string): readonly string[] {
  const value = secret.trim();
  const lines = value.split(/\r?\n/).map((line) => line.trim());
  const long = lines.length === 1 ? lines : lines.filter((line) => line.length >= 16 && !line.startsWith('-----'));
  return [value, ...long].flatMap((text) => [text, base64(text), base64(text, 'base64url'), encodeURIComponent(text)]);
}

function base64(text: string, encoding: 'base64' | 'base64url' = 'base64'): string {
  return Buffer.from(text).toString(encoding).replace(/=+$/, '');
}
