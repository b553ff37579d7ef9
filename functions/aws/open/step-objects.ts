import { S3Client } from '@aws-sdk/client-s3';
import type { WorkflowPorts } from '../../ports/ports.ts';
import { transferCalls } from '../client.ts';
import { finishUploads } from '../object-finish.ts';
import { listObjects } from '../object-list.ts';
import { abandonUploads } from '../object-uploads.ts';
import { readObjects, removeObjects, writeObjects } from '../objects.ts';
import type { Place } from './place.ts';

/** What jobs do with blobs: read what was sent, make it whole, keep what is made of it, and prune. */
export function openStepObjects({ bucket }: Pick<Place, 'bucket'>): WorkflowPorts['objects'] {
  const options = { client: new S3Client(transferCalls), bucket };
  return {
    ...readObjects(options),
    ...writeObjects(options),
    ...finishUploads(options),
    ...abandonUploads(options),
    ...listObjects(options),
    ...removeObjects(options),
  };
}
