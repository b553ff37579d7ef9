import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { secretName } from '../runtime/aws-names.ts';
import { Problem } from '../runtime/errors.ts';
import { answered, isNamed } from './client.ts';

/**
 * The current value of a secret, by its name in the Secrets port. For the build agent, which reads one secret once and
 * whose role may do nothing else with it (`secretsmanager:GetSecretValue` on the app's own). Throws
 * `Problem('not-found')` naming the secret, never a value.
 */
export async function readSourceCredential(
  { client, prefix }: { readonly client: SecretsManagerClient; readonly prefix: string },
  name: string,
): Promise<string> {
  try {
    const call = client.send(new GetSecretValueCommand({ SecretId: secretName(prefix, name) }));
    const { SecretString } = await answered('The store of secrets', call);
    if (SecretString !== undefined) return SecretString;
  } catch (cause) {
    if (isNamed(cause, 'AccessDeniedException')) {
      throw new Problem('forbidden', `The build’s role may not read the secret ${name}`, { cause });
    }
    if (!isNamed(cause, 'ResourceNotFoundException')) throw cause;
  }
  throw new Problem('not-found', `There is no secret ${name}`);
}
