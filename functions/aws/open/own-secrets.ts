import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { adminTokenSecret, webhookSecretSecret } from '../../runtime/aws-names.ts';
import { quickCalls } from '../client.ts';
import { rotatingSecret } from '../rotating-secret.ts';
import type { Place } from './place.ts';

/** The control plane's own secrets, as they are good now. */
export function openOwnSecrets({ prefix, clock }: Pick<Place, 'prefix' | 'clock'>) {
  const options = { client: new SecretsManagerClient(quickCalls), prefix, clock };
  return {
    adminTokens: rotatingSecret(options, adminTokenSecret),
    webhookSecrets: rotatingSecret(options, webhookSecretSecret),
  };
}
