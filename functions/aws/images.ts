import {
  CreateRepositoryCommand,
  DescribeImagesCommand,
  GetAuthorizationTokenCommand,
  GetLifecyclePolicyCommand,
  PutLifecyclePolicyCommand,
  type ECRClient,
} from '@aws-sdk/client-ecr';
import { Problem } from '../runtime/errors.ts';
import { digestPattern, type Digest } from '../runtime/units.ts';
import { answered, isNamed } from './client.ts';
import { imageRequest, lifecycleRequest, repositoryRequest } from './image-requests.ts';

/** An image of the repository: of an index, the index's digest. */
export type RegistryImage = { readonly digest: Digest; readonly sizeBytes: number };

export type ImageRepositoryOptions = {
  readonly client: ECRClient;
  /** Its name without the registry's host. */
  readonly repository: string;
  readonly pause: (milliseconds: number) => Promise<unknown>;
};

/** So often a tag is looked for that was pushed just now; a second is let pass between two times. */
const looks = 5;

/**
 * One app's repository in ECR. The role needs, on that repository, `ecr:CreateRepository`, `GetLifecyclePolicy`,
 * `PutLifecyclePolicy`, `DescribeImages` and what a push asks for (`BatchCheckLayerAvailability`, `BatchGetImage`,
 * `GetDownloadUrlForLayer`, `InitiateLayerUpload`, `UploadLayerPart`, `CompleteLayerUpload`, `PutImage`), and
 * `ecr:GetAuthorizationToken` on `*`, as that one knows no resource.
 * https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
 */
export function imageRepository({ client, repository, pause }: ImageRepositoryOptions) {
  async function find(tag: string): Promise<RegistryImage | undefined> {
    try {
      const { imageDetails = [] } = await ask(client.send(new DescribeImagesCommand(imageRequest(repository, tag))));
      const [image] = imageDetails;
      const digest = image?.imageDigest ?? '';
      if (!digestPattern.test(digest)) return undefined;
      return { digest: digest as Digest, sizeBytes: image?.imageSizeInBytes ?? 0 };
    } catch (error) {
      if (isNamed(error, 'ImageNotFoundException', 'RepositoryNotFoundException')) return undefined;
      throw error;
    }
  }

  /** Two builds may do it at once, and one that was killed in between is completed by the next. */
  async function create(): Promise<void> {
    try {
      await ask(client.send(new CreateRepositoryCommand(repositoryRequest(repository))));
    } catch (error) {
      if (!isNamed(error, 'RepositoryAlreadyExistsException')) throw error;
    }
    await protect();
  }

  async function protect(): Promise<void> {
    await ask(client.send(new PutLifecyclePolicyCommand(lifecycleRequest(repository))));
  }

  return {
    /** Makes the repository with its rules when it is not there; rules that somebody changed are left as they are. */
    async prepare(): Promise<void> {
      try {
        await ask(client.send(new GetLifecyclePolicyCommand({ repositoryName: repository })));
      } catch (error) {
        if (isNamed(error, 'LifecyclePolicyNotFoundException')) return await protect();
        if (!isNamed(error, 'RepositoryNotFoundException')) throw error;
        await create();
      }
    },

    /** `user:password` in base64, good for 12 hours at this account's registry. Never log it. */
    async token(): Promise<string> {
      const { authorizationData = [] } = await ask(client.send(new GetAuthorizationTokenCommand({})));
      const token = authorizationData[0]?.authorizationToken;
      if (!token) throw new Error('the registry gave no token');
      return token;
    },

    /** The image with a tag; undefined when there is none, or no such repository. */
    find,

    /** An image that was pushed just now: the registry may need a moment to know of it. Throws `Problem('busy')`. */
    async findPushed(tag: string): Promise<RegistryImage> {
      for (let look = 1; look <= looks; look++) {
        const image = await find(tag);
        if (image) return image;
        if (look < looks) await pause(1000);
      }
      throw new Problem('busy', `The registry does not know ${repository}:${tag} yet, which was pushed just now`);
    },
  };
}

async function ask<Output>(call: Promise<Output>): Promise<Output> {
  return await answered('The image registry', call);
}
