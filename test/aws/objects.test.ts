import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { transferCalls } from '../../functions/aws/client.ts';
import { s3Objects } from '../../functions/aws/objects.ts';
import { objectsSuite } from '../contract/objects-suite.ts';
import { recordInputs } from '../support/scripted-aws.ts';
import { describeOnEmulator, startEmulator } from './emulator.ts';

describeOnEmulator('objects', () => {
  objectsSuite('S3, emulated', async () => {
    // With AUTH it refuses who shows no signature, as S3 does.
    const emulator = await startEmulator({ AUTH: 'true' });
    if (!emulator) throw new Error('the emulator is gone');
    const client = recordInputs(new S3Client({ ...transferCalls, ...emulator.config }));
    const bucket = 'sluice-test';
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    const open = () => s3Objects({ client, bucket, clock: Date.now });
    return {
      port: open(),
      reopen: async () => open(),
      close: async () => {
        client.destroy();
        await emulator.close();
      },
    };
  });
});
