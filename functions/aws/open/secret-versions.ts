import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { WorkflowPorts } from '../../ports/ports.ts';
import { quickCalls } from '../client.ts';
import { describeSecrets } from '../secrets.ts';
import type { Place } from './place.ts';

export function openSecretVersions({ prefix }: Pick<Place, 'prefix'>): WorkflowPorts['secrets'] {
  return describeSecrets({ client: new SecretsManagerClient(quickCalls), prefix });
}
