import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { ReconcilePorts } from '../../ports/ports.ts';
import { quickCalls } from '../client.ts';
import { removeSecrets } from '../secret-writes.ts';
import { listSecrets } from '../secrets.ts';
import type { Place } from './place.ts';

export function openSecretRemovals({ prefix }: Pick<Place, 'prefix'>): ReconcilePorts['secrets'] {
  const options = { client: new SecretsManagerClient(quickCalls), prefix };
  return { ...listSecrets(options), ...removeSecrets(options) };
}
