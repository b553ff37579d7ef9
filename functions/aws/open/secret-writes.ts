import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { ApiPorts } from '../../ports/ports.ts';
import { quickCalls } from '../client.ts';
import { secretCache } from '../secret-cache.ts';
import { removeSecrets, writeSecrets } from '../secret-writes.ts';
import { listSecrets } from '../secrets.ts';
import type { Place } from './place.ts';

export function openSecretWrites({ prefix, clock }: Pick<Place, 'prefix' | 'clock'>): ApiPorts['secrets'] {
  const options = { client: new SecretsManagerClient(quickCalls), prefix };
  const caching = { ...options, cache: secretCache(clock) };
  return { ...writeSecrets(caching), ...removeSecrets(caching), ...listSecrets(options) };
}
