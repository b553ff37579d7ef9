import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Secrets } from '../../ports/secrets.ts';
import { quickCalls } from '../client.ts';
import { secretCache } from '../secret-cache.ts';
import { readSecrets } from '../secrets.ts';
import type { Place } from './place.ts';

/** Reads values, and keeps them for a minute. */
export function openSecretValues({ prefix, clock }: Pick<Place, 'prefix' | 'clock'>): Pick<Secrets, 'read'> {
  return readSecrets({ client: new SecretsManagerClient(quickCalls), prefix, cache: secretCache(clock) });
}
