import type { Artifact } from '../artifacts/artifact.ts';
import { imageRepository } from '../runtime/aws-names.ts';
import type {
  BatchDeleteImageCommandInput,
  CreateRepositoryCommandInput,
  DescribeImagesCommandInput,
  PutLifecyclePolicyCommandInput,
} from '@aws-sdk/client-ecr';

/** The one tag that is moved: the registry's copy of BuildKit's cache. Deployment ids are never called so. */
export const cacheTag = 'cache';

/** So long what no tag names is kept: what was pushed by a build that broke off, and caches of before. */
const untaggedDays = 14;

/**
 * An app's repository: scanned on push, encrypted as the account says (AES-256 by default). A deployment's tag can never
 * be moved: it is what keeps the image that a revision names by digest. Only the cache's tag may be.
 * https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
 */
export function repositoryRequest(repository: string): CreateRepositoryCommandInput {
  return {
    repositoryName: repository,
    imageTagMutability: 'IMMUTABLE_WITH_EXCLUSION',
    imageTagMutabilityExclusionFilters: [{ filterType: 'WILDCARD', filter: cacheTag }],
    imageScanningConfiguration: { scanOnPush: true },
  };
}

/**
 * Expires untagged images only, so never one that a revision names: each was pushed with its deployment's tag, which
 * cannot be moved. The manifests that an index holds have no tag of their own, but a manifest which an index names is
 * not expired before that index, as it cannot be deleted before it either (`ImageReferencedByManifestList`).
 * https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
 * https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageFailure.html
 */
export function lifecycleRequest(repository: string): PutLifecyclePolicyCommandInput {
  const rule = {
    rulePriority: 1,
    description: 'What no deployment and no cache names any more',
    selection: {
      tagStatus: 'untagged',
      countType: 'sinceImagePushed',
      countUnit: 'days',
      countNumber: untaggedDays,
    },
    action: { type: 'expire' },
  };
  return { repositoryName: repository, lifecyclePolicyText: JSON.stringify({ rules: [rule] }) };
}

export function imageRequest(repository: string, tag: string): DescribeImagesCommandInput {
  return { repositoryName: repository, imageIds: [{ imageTag: tag }] };
}

/**
 * Removes an image by its digest, with all of its tags. What an index holds has no tag of its own, and expires after it.
 * https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
 */
export function deleteImageRequest(prefix: string, { app, digest }: Artifact): BatchDeleteImageCommandInput {
  return { repositoryName: imageRepository(prefix, app), imageIds: [{ imageDigest: digest }] };
}
