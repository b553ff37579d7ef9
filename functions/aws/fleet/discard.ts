import { BatchDeleteImageCommand, type ECRClient } from '@aws-sdk/client-ecr';
import type { Artifact } from '../../artifacts/artifact.ts';
import { Problem } from '../../runtime/errors.ts';
import { answered, isNamed } from '../client.ts';
import { deleteImageRequest } from '../image-requests.ts';

export type DiscardingParts = {
  /** Opened when an image is discarded: nothing else of the fleet asks the registry. */
  readonly registry: () => Promise<ECRClient>;
  readonly prefix: string;
};

/** Removes an image from its app's repository. Needs `ecr:BatchDeleteImage` there. */
export async function discardImage({ registry, prefix }: DiscardingParts, artifact: Artifact): Promise<void> {
  if (artifact.kind !== 'image') return;
  const [failure] = await failuresOf(await registry(), prefix, artifact);
  if (!failure || failure.failureCode === 'ImageNotFound') return;
  const why = failure.failureReason ?? failure.failureCode ?? 'the registry does not say why';
  const kind = failure.failureCode === 'ImageReferencedByManifestList' ? 'conflict' : 'busy';
  throw new Problem(kind, `The image ${artifact.digest} of ${artifact.app} cannot be removed: ${why}`);
}

async function failuresOf(client: ECRClient, prefix: string, artifact: Artifact) {
  const command = new BatchDeleteImageCommand(deleteImageRequest(prefix, artifact));
  try {
    return (await answered('The image registry', client.send(command))).failures ?? [];
  } catch (error) {
    if (isNamed(error, 'RepositoryNotFoundException')) return [];
    throw error;
  }
}
