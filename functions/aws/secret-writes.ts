import { randomUUID } from 'node:crypto';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { CreateSecretCommand, DeleteSecretCommand, PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import type { Secrets } from '../ports/secrets.ts';
import { Problem } from '../runtime/errors.ts';
import { isNamed } from './client.ts';
import { describe, ofSecret, told, type CachingOptions, type SecretsOptions } from './secret-calls.ts';
import { checkName, checkValue, createInput, deleteInput, nextLabel, putInput } from './secret-requests.ts';

export type WritingOptions = CachingOptions & {
  readonly newId?: () => string;
  /** Waits so many milliseconds. */
  readonly sleep?: (milliseconds: number) => Promise<unknown>;
};

/**
 * How long a write waits, in milliseconds, for a secret that is on its way out or was just made: both are seen a moment
 * late. About 8 s together, so the API can still answer.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html (ForceDeleteWithoutRecovery)
 */
const writeWaitsMs = [0, 50, 100, 200, 400, 1000, 2000, 4000];

/** The same for a version that was just written. "All Secrets Manager operations are eventually consistent" (ListSecrets). */
const seenWaitsMs = [0, 50, 200, 400];

/**
 * Needs `DescribeSecret`, `CreateSecret` and `PutSecretValue`. A secret that somebody else scheduled for deletion is not
 * restored: that decision was taken elsewhere, and the writer is told.
 */
export function writeSecrets(options: WritingOptions): Pick<Secrets, 'write'> {
  const { cache, newId = randomUUID, sleep = sleepFor } = options;
  return {
    async write(name, value) {
      checkName(name);
      checkValue(value);
      const id = newId();
      try {
        for (const wait of writeWaitsMs) {
          if (wait > 0) await sleep(wait);
          if (await tryToWrite(options, name, { id, value })) return { version: id };
        }
      } finally {
        cache.forget(name);
      }
      throw new Problem(
        'conflict',
        `The secret ${name} is being deleted in Secrets Manager: try again in a minute, or restore it there`,
      );
    },
  };
}

/** Needs `DeleteSecret`. At once and for good, as on one machine: a value that leaked is gone. */
export function removeSecrets({
  client,
  prefix,
  cache,
}: SecretsOptions & Partial<CachingOptions>): Pick<Secrets, 'remove'> {
  return {
    async remove(name) {
      checkName(name);
      try {
        await ofSecret(client.send(new DeleteSecretCommand(deleteInput(prefix, name))));
      } finally {
        cache?.forget(name);
      }
    },
  };
}

/** Whether the version is there now; not while the secret is on its way out, or gone since it was looked at. */
async function tryToWrite(
  options: WritingOptions,
  name: string,
  { id, value }: { readonly id: string; readonly value: string },
): Promise<boolean> {
  const { client, prefix } = options;
  const found = await describe(options, name);
  if (!found && !(await create(options, name))) return false;
  const label = nextLabel(found?.VersionIdsToStages ?? {});
  try {
    const put = await ofSecret(client.send(new PutSecretValueCommand(putInput(prefix, name, { id, value, label }))));
    if (put) await untilSeen(options, name, id);
    return put !== undefined;
  } catch (cause) {
    if (!isNamed(cause, 'LimitExceededException')) throw cause;
    const often = `The secret ${name} was written too often within a day; Secrets Manager keeps about 100 versions`;
    throw new Problem('too-many-requests', often, { cause });
  }
}

/**
 * Waits until others see the version, so that a deployment that is asked for next pins it. It is durable before that;
 * and it may never be seen, when others wrote meanwhile and took its labels. So the wait is short.
 */
async function untilSeen(options: WritingOptions, name: string, version: string): Promise<void> {
  const { sleep = sleepFor } = options;
  for (const wait of seenWaitsMs) {
    if (wait > 0) await sleep(wait);
    const found = await describe(options, name).catch(() => undefined);
    if (found?.VersionIdsToStages?.[version]) return;
  }
}

/** Whether the secret is there now, by us or by another; not while one of that name is on its way out. */
async function create({ client, prefix }: SecretsOptions, name: string): Promise<boolean> {
  try {
    await told(client.send(new CreateSecretCommand(createInput(prefix, name))));
    return true;
  } catch (error) {
    if (isNamed(error, 'ResourceExistsException')) return true;
    if (isNamed(error, 'InvalidRequestException')) return false;
    throw error;
  }
}
