import { GetSecretValueCommand, ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import type { Secrets } from '../ports/secrets.ts';
import type { EpochMs } from '../runtime/units.ts';
import { secretCache } from './secret-cache.ts';
import { describe, missing, ofSecret, told, type CachingOptions, type SecretsOptions } from './secret-calls.ts';
import { checkName, currentVersion, getInput, isVersion, listInput } from './secret-requests.ts';
import { removeSecrets, writeSecrets, type WritingOptions } from './secret-writes.ts';

/** The whole Secrets port on Secrets Manager; who needs a part of it takes that, and its role need not grant the rest. */
export function awsSecrets(options: Omit<WritingOptions, 'cache'> & { readonly clock: () => EpochMs }): Secrets {
  const caching = { ...options, cache: secretCache(options.clock) };
  return {
    ...readSecrets(caching),
    ...writeSecrets(caching),
    ...removeSecrets(caching),
    ...listSecrets(options),
    ...describeSecrets(options),
  };
}

/** Needs `secretsmanager:GetSecretValue`. The current version may be `currentForMs` old. */
export function readSecrets({ client, prefix, cache }: CachingOptions): Pick<Secrets, 'read'> {
  return {
    async read(name, wanted) {
      checkName(name);
      const known = cache.get(name, wanted);
      if (known) return known;
      if (wanted !== undefined && !isVersion(wanted)) throw missing(name, wanted);
      const found = await ofSecret(client.send(new GetSecretValueCommand(getInput(prefix, name, wanted))));
      if (found?.SecretString === undefined || found.VersionId === undefined) throw missing(name, wanted);
      const secret = { value: found.SecretString, version: found.VersionId };
      cache.set(name, wanted, secret);
      return secret;
    },
  };
}

/** Needs `secretsmanager:ListSecrets`, which cannot be granted for some secrets only. */
export function listSecrets({ client, prefix }: SecretsOptions): Pick<Secrets, 'list' | 'ready'> {
  return {
    /** What Secrets Manager tells here may be five minutes old. */
    async list(under) {
      const names: string[] = [];
      let after: string | undefined;
      do {
        const page = await told(client.send(new ListSecretsCommand(listInput(prefix, under, after))));
        for (const { Name = '', DeletedDate, SecretVersionsToStages } of page.SecretList ?? []) {
          const current = currentVersion(SecretVersionsToStages ?? {});
          // One without a version was never written to its end.
          if (Name.startsWith(`${prefix}/${under}`) && !DeletedDate && current)
            names.push(Name.slice(prefix.length + 1));
        }
        after = page.NextToken;
      } while (after !== undefined);
      return names.sort();
    },

    async ready() {
      await told(client.send(new ListSecretsCommand({ ...listInput(prefix, '', undefined), MaxResults: 1 })));
    },
  };
}

/** Needs `secretsmanager:DescribeSecret`, and never sees a value. */
export function describeSecrets({ client, prefix }: SecretsOptions): Pick<Secrets, 'findVersion'> {
  return {
    async findVersion(name) {
      const found = await describe({ client, prefix }, name);
      return found && currentVersion(found.VersionIdsToStages ?? {});
    },
  };
}

/** What ECS wants of a secret in `valueFrom`: `<arn>:::<version>`. */
export type SecretReference = (name: string, version: string) => Promise<string>;

/**
 * Finds secrets' full ARNs, whose last six characters Secrets Manager made up. A version belongs to one ARN for ever
 * (a secret that is removed and made again has another, and other versions), so what was found is kept.
 * Throws `Problem('not-found')` naming the secret. Needs `secretsmanager:DescribeSecret`.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
 */
export function secretReferences(options: SecretsOptions): SecretReference {
  const known = new Map<string, string>();
  return async (name, version) => {
    const key = `${name} ${version}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const arn = (await describe(options, name))?.ARN;
    if (arn === undefined || !isVersion(version)) throw missing(name, version);
    const reference = `${arn}:::${version}`;
    if (known.size >= mostReferences) known.clear();
    known.set(key, reference);
    return reference;
  };
}

const mostReferences = 1000;
