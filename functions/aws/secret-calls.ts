import {
  DescribeSecretCommand,
  type DescribeSecretCommandOutput,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { Problem } from '../runtime/errors.ts';
import { answered, isNamed } from './client.ts';
import type { SecretCache } from './secret-cache.ts';
import { describeInput } from './secret-requests.ts';

/** The client is made with `quickCalls`. `prefix` is the installation's. */
export type SecretsOptions = { readonly client: SecretsManagerClient; readonly prefix: string };
/** One cache for reading and writing in a process, so that who writes reads what was written. */
export type CachingOptions = SecretsOptions & { readonly cache: SecretCache };

/** What is known of a secret without its value; undefined, too, of one that is marked for deletion. */
export async function describe(
  { client, prefix }: SecretsOptions,
  name: string,
): Promise<DescribeSecretCommandOutput | undefined> {
  const found = await ofSecret(client.send(new DescribeSecretCommand(describeInput(prefix, name))));
  return found?.DeletedDate ? undefined : found;
}

/**
 * The answer about one secret; undefined when there is none, which is also what `InvalidRequestException` means here:
 * of these calls' requests it only refuses those about a secret marked for deletion.
 */
export async function ofSecret<Output>(call: Promise<Output>): Promise<Output | undefined> {
  try {
    return await told(call);
  } catch (error) {
    if (isNamed(error, 'ResourceNotFoundException', 'InvalidRequestException')) return undefined;
    throw error;
  }
}

/** A call's answer; a store that does not answer is told as busy. */
export async function told<Output>(call: Promise<Output>): Promise<Output> {
  return await answered('The store of secrets', call);
}

export function missing(name: string, version: string | undefined): Problem {
  return new Problem('not-found', `There is no secret ${name}${version === undefined ? '' : ' of that version'}`);
}
