import { S3Client } from '@aws-sdk/client-s3';
import type { ApiPorts } from '../../ports/ports.ts';
import { transferCalls } from '../client.ts';
import { objectsReady } from '../objects.ts';
import type { Place } from './place.ts';

export function openObjectsReady({ bucket }: Pick<Place, 'bucket'>): ApiPorts['objects'] {
  return objectsReady({ client: new S3Client(transferCalls), bucket });
}
