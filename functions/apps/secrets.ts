import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { parseInput } from '../runtime/parse.ts';
import { getApp } from './registry.ts';
import { reservedSecretName } from './rules.ts';
import { secretNameSchema } from './schema.ts';

/** What Secrets Manager holds in one secret. https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html */
export const mostSecretBytes = 65_536;

/** The full name of one of an app's secrets in the Secrets port. */
export function secretPath(app: string, name: string): string {
  return `${secretsPrefix(app)}${name}`;
}

/** The full name of an app's deploy key in the Secrets port. */
export function deployKeyPath(app: string): string {
  return `apps/${app}/deploy-key`;
}

/**
 * Stores a new version of one of an app's secrets; deployments from now on take it.
 * Throws `Problem('not-found')` for an unknown app, `Problem('invalid')` for a name or a value that cannot be one.
 */
export async function writeSecret(
  ports: Pick<ApiPorts, 'records' | 'secrets'>,
  secret: { readonly app: string; readonly name: string; readonly value: string },
): Promise<void> {
  const name = parseSecretName(secret.name);
  checkValue(secret.value);
  await getApp(ports.records, secret.app);
  await ports.secrets.write(secretPath(secret.app, name), secret.value);
}

/** The names of an app's secrets, in order; their values never come out. */
export async function listSecrets(
  ports: Pick<ApiPorts, 'records' | 'secrets'>,
  app: string,
): Promise<readonly string[]> {
  await getApp(ports.records, app);
  const prefix = secretsPrefix(app);
  const paths = await ports.secrets.list(prefix);
  return paths.map((path) => path.slice(prefix.length)).sort();
}

/** Removes one of an app's secrets with all its versions; one that is not there is no error. */
export async function removeSecret(
  ports: Pick<ApiPorts, 'records' | 'secrets'>,
  secret: { readonly app: string; readonly name: string },
): Promise<void> {
  const name = parseSecretName(secret.name);
  await getApp(ports.records, secret.app);
  await ports.secrets.remove(secretPath(secret.app, name));
}

function secretsPrefix(app: string): string {
  return `apps/${app}/secret/`;
}

function parseSecretName(input: string): string {
  const name = parseInput(secretNameSchema, input, 'name of the secret');
  if (name !== reservedSecretName) return name;
  throw new Problem('invalid', `The name ${name} is kept for the deploy key, which is made by POST …/deploy-key`, {
    issues: [{ field: 'name', expected: 'another name' }],
  });
}

function checkValue(value: string): void {
  const bytes = Buffer.byteLength(value);
  if (bytes > mostSecretBytes) throw new Problem('too-large', `A secret holds at most ${mostSecretBytes} bytes`);
  // NUL cannot pass through an environment; and what is not well-formed would come back changed.
  if (bytes > 0 && !value.includes('\0') && value.isWellFormed()) return;
  const expected = `1 to ${mostSecretBytes} bytes of text without NUL`;
  throw new Problem('invalid', `The value of the secret is not valid: expected ${expected}`, {
    issues: [{ field: 'value', expected }],
  });
}
