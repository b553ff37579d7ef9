import { awsSecrets } from '../../functions/aws/secrets.ts';
import { scriptedSecretsManager } from '../support/scripted-secrets-manager.ts';
import { secretsSuite } from './secrets-suite.ts';

// The real SDK client on a Secrets Manager in memory, whose deletions take a moment.
secretsSuite('Secrets Manager, scripted', async () => {
  const manager = scriptedSecretsManager();
  manager.lingering = 1;
  const port = awsSecrets({ client: manager.client, prefix: 'sluice', clock: Date.now });
  return { port, close: async () => manager.client.destroy() };
});
