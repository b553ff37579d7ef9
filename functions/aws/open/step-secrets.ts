import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { WorkflowPorts } from '../../ports/ports.ts';
import { quickCalls } from '../client.ts';
import { secretCache } from '../secret-cache.ts';
import { describeSecrets, readSecrets } from '../secrets.ts';
import type { Place } from './place.ts';

/** Which version of a secret a revision has; and the value by which a hook's calls are signed. */
export function openStepSecrets({ prefix, clock }: Pick<Place, 'prefix' | 'clock'>): WorkflowPorts['secrets'] {
  const options = { client: new SecretsManagerClient(quickCalls), prefix };
  return { ...describeSecrets(options), ...readSecrets({ ...options, cache: secretCache(clock) }) };
}
