import { s3Objects } from '../../functions/aws/objects.ts';
import { scriptedS3 } from '../support/scripted-s3.ts';
import { objectsSuite } from './objects-suite.ts';

// The real SDK and its signer, on an S3 in memory that verifies signatures, checksums and conditions.
objectsSuite('S3, scripted', async () => {
  const s3 = await scriptedS3();
  const open = () => s3Objects({ client: s3.client, bucket: s3.bucket, clock: Date.now });
  return { port: open(), reopen: async () => open(), close: async () => await s3.close() };
});
