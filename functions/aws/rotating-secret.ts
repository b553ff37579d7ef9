import { GetSecretValueCommand, type GetSecretValueCommandOutput } from '@aws-sdk/client-secrets-manager';
import type { EpochMs } from '../runtime/units.ts';
import { currentForMs } from './secret-cache.ts';
import { ofSecret, type SecretsOptions } from './secret-calls.ts';
import { rotatedInput } from './secret-requests.ts';

/** How long the value from before a rotation is good as well. To end that at once, rotate a second time. */
export const previousForMs = 24 * 60 * 60_000;

/**
 * The values of one of the control plane's own secrets that are good now: the current one and, for a day after it was
 * written, the one before (`AWSPREVIOUS`), since the other side (GitHub, a pipeline) cannot be changed at the same
 * moment. Each answer is at most a minute old, so a rotation is in force everywhere after that. Throws
 * `Problem('busy')` when the store does not answer, and an error when there is no such secret: the installation is
 * broken then. Needs `secretsmanager:GetSecretValue`.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version
 */
export function rotatingSecret(
  options: SecretsOptions & { readonly clock: () => EpochMs },
  name: string,
): () => Promise<readonly string[]> {
  const { client, prefix, clock } = options;
  let known: { readonly until: EpochMs; readonly values: readonly string[] } | undefined;

  async function find(stage: 'AWSCURRENT' | 'AWSPREVIOUS'): Promise<GetSecretValueCommandOutput | undefined> {
    return await ofSecret(client.send(new GetSecretValueCommand(rotatedInput(prefix, name, stage))));
  }

  async function read(): Promise<readonly string[]> {
    const current = await find('AWSCURRENT');
    if (!current?.SecretString) throw new Error(`There is no secret ${name}`);
    const age = clock() - (current.CreatedDate?.getTime() ?? 0);
    const previous = age < previousForMs ? await find('AWSPREVIOUS') : undefined;
    return [current.SecretString, ...(previous?.SecretString ? [previous.SecretString] : [])];
  }

  return async () => {
    const asked = clock();
    if (!known || asked >= known.until) known = { values: await read(), until: asked + currentForMs };
    return known.values;
  };
}
