import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { quickCalls } from '../../functions/aws/client.ts';
import { awsSecrets } from '../../functions/aws/secrets.ts';
import { secretsSuite } from '../contract/secrets-suite.ts';
import { recordInputs } from '../support/scripted-aws.ts';
import { describeOnEmulator, startEmulator } from './emulator.ts';

describeOnEmulator('secrets', () => {
  secretsSuite('Secrets Manager, emulated', async () => {
    const emulator = await startEmulator();
    if (!emulator) throw new Error('the emulator is gone');
    const client = recordInputs(new SecretsManagerClient({ ...quickCalls, ...emulator.config }));
    return {
      port: awsSecrets({ client, prefix: 'sluice', clock: Date.now }),
      skipOldVersions: 'ministack drops the labels that come with AWSCURRENT, and at once every version without one',
      close: async () => {
        client.destroy();
        await emulator.close();
      },
    };
  });
});
