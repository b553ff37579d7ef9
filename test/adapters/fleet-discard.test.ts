import { describe, expect, it } from 'vitest';
import { deleteImageRequest } from '../../functions/aws/image-requests.ts';
import { awsFleet, imageArtifact } from '../support/aws-fleet.ts';

const image = `sluice/web@${imageArtifact.digest}`;

describe('discarding an image of ECR', () => {
  it('asks to delete it by its digest, in its app’s repository', () => {
    expect(deleteImageRequest('sluice', imageArtifact)).toEqual({
      repositoryName: 'sluice/web',
      imageIds: [{ imageDigest: imageArtifact.digest }],
    });
  });

  it('is refused while an index names it', async () => {
    const { aws, fleet, close } = await awsFleet();
    aws.images.add(image).add(`held ${image}`);
    await expect(fleet.discard(imageArtifact)).rejects.toMatchObject({ kind: 'conflict' });
    expect(aws.images).toContain(image);
    await close();
  });

  it('is harmless where the app has no repository, and asks again when the registry throttles', async () => {
    const { aws, fleet, close } = await awsFleet();
    await fleet.discard(imageArtifact);
    aws.images.add(image);
    aws.fault('BatchDeleteImage', 'throttled');
    await fleet.discard(imageArtifact);
    expect(aws.images).not.toContain(image);
    await close();
  });

  it('asks nothing about a bundle', async () => {
    const { aws, fleet, close } = await awsFleet();
    await fleet.discard({ ...imageArtifact, kind: 'bundle' });
    expect(aws.calls).toEqual([]);
    await close();
  });
});
