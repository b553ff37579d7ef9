import { S3Client } from '@aws-sdk/client-s3';
import type { ApiPorts } from '../../ports/ports.ts';
import { transferCalls } from '../client.ts';
import { signedGet } from '../object-urls.ts';
import { receiveObjects } from '../object-receive.ts';
import { abandonUploads, openUploads } from '../object-uploads.ts';
import { objectsReady, readObjects, writeObjects } from '../objects.ts';
import type { Place } from './place.ts';

/** Blobs come and go; what is finished, listed and removed is so by the steps of jobs. */
export function openApiObjects({ bucket, clock }: Pick<Place, 'bucket' | 'clock'>): ApiPorts['objects'] {
  const options = { client: new S3Client(transferCalls), bucket, clock };
  return {
    ...readObjects(options),
    ...writeObjects(options),
    ...receiveObjects(options),
    ...openUploads(options),
    ...abandonUploads(options),
    ...objectsReady(options),
    downloadUrl: async (digest, seconds) => await signedGet(options, digest, seconds),
  };
}
