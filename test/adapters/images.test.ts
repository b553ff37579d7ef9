import { ECRClient } from '@aws-sdk/client-ecr';
import { describe, expect, it } from 'vitest';
import { slowCalls } from '../../functions/aws/client.ts';
import { imageRequest, lifecycleRequest, repositoryRequest } from '../../functions/aws/image-requests.ts';
import { imageRepository } from '../../functions/aws/images.ts';
import { awsError, scriptAws, testAwsConfig, type AwsScript } from '../support/scripted-aws.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const repository = 'sluice/web';

function scripted(script: AwsScript) {
  const calls: string[] = [];
  const pauses: number[] = [];
  const client = scriptAws(new ECRClient({ ...testAwsConfig, ...slowCalls }), (operation, input) => {
    calls.push(operation);
    return script(operation, input);
  });
  const pause = async (milliseconds: number) => void pauses.push(milliseconds);
  return { calls, pauses, images: imageRepository({ client, repository, pause }) };
}
const image = { imageDetails: [{ imageDigest: digest, imageSizeInBytes: 123, imageTags: ['d1'] }] };

describe('requests to the registry', () => {
  it('make a repository whose deployments’ tags cannot be moved, scanned on push', () => {
    expect(repositoryRequest(repository)).toEqual({
      repositoryName: 'sluice/web',
      imageTagMutability: 'IMMUTABLE_WITH_EXCLUSION',
      imageTagMutabilityExclusionFilters: [{ filterType: 'WILDCARD', filter: 'cache' }],
      imageScanningConfiguration: { scanOnPush: true },
    });
  });

  it('let expire what has no tag, and nothing else', () => {
    const { lifecyclePolicyText = '', ...rest } = lifecycleRequest(repository);
    expect(rest).toEqual({ repositoryName: 'sluice/web' });
    expect(JSON.parse(lifecyclePolicyText)).toEqual({
      rules: [
        {
          rulePriority: 1,
          description: expect.any(String) as string,
          selection: { tagStatus: 'untagged', countType: 'sinceImagePushed', countUnit: 'days', countNumber: 14 },
          action: { type: 'expire' },
        },
      ],
    });
  });

  it('look for an image by its tag', () => {
    expect(imageRequest(repository, 'd1')).toEqual({ repositoryName: 'sluice/web', imageIds: [{ imageTag: 'd1' }] });
  });
});

describe('an app’s repository', () => {
  it('is left as it is when it is there', async () => {
    const { images, calls } = scripted(() => ({ lifecyclePolicyText: '{"rules":[]}' }));
    await images.prepare();
    expect(calls).toEqual(['GetLifecyclePolicy']);
  });

  it('is made with its rules when it is not there', async () => {
    const { images, calls } = scripted((operation) => {
      if (operation === 'GetLifecyclePolicy') throw awsError('RepositoryNotFoundException');
      return {};
    });
    await images.prepare();
    expect(calls).toEqual(['GetLifecyclePolicy', 'CreateRepository', 'PutLifecyclePolicy']);
  });

  it('is completed when whoever made it was killed before its rules were there', async () => {
    const { images, calls } = scripted((operation) => {
      if (operation === 'GetLifecyclePolicy') throw awsError('LifecyclePolicyNotFoundException');
      return {};
    });
    await images.prepare();
    expect(calls).toEqual(['GetLifecyclePolicy', 'PutLifecyclePolicy']);
  });

  it('may be made by two builds at once, and by one whose answer was lost', async () => {
    let made = false;
    const { images, calls } = scripted((operation) => {
      if (operation === 'GetLifecyclePolicy') throw awsError('RepositoryNotFoundException');
      if (operation !== 'CreateRepository') return {};
      if (made) throw awsError('RepositoryAlreadyExistsException');
      made = true;
      throw awsError('ServerException', 'the answer is lost', 500);
    });
    await images.prepare();
    expect(calls).toEqual(['GetLifecyclePolicy', 'CreateRepository', 'CreateRepository', 'PutLifecyclePolicy']);
  });

  it('is asked again when it throttles, and others’ errors pass', async () => {
    let asked = 0;
    const { images } = scripted(() => {
      if (asked++ === 0) throw awsError('ThrottlingException');
      throw awsError('AccessDeniedException', 'not yours');
    });
    await expect(images.prepare()).rejects.toThrow('not yours');
    expect(asked).toBe(2);
  });

  it('gives a token, and says when it gives none', async () => {
    const { images } = scripted(() => ({ authorizationData: [{ authorizationToken: 'QVdTOng=' }] }));
    expect(await images.token()).toBe('QVdTOng=');
    await expect(scripted(() => ({ authorizationData: [] })).images.token()).rejects.toThrow('gave no token');
  });

  it('finds an image by its tag; none is none, and so is one of no repository', async () => {
    expect(await scripted(() => image).images.find('d1')).toEqual({ digest, sizeBytes: 123 });
    for (const name of ['ImageNotFoundException', 'RepositoryNotFoundException']) {
      const { images } = scripted(() => {
        throw awsError(name);
      });
      expect(await images.find('d1')).toBeUndefined();
    }
    await expect(
      scripted(() => {
        throw awsError('ServerException', 'down', 500);
      }).images.find('d1'),
    ).rejects.toMatchObject({ kind: 'busy' });
  }, 20_000);

  it('is given a moment to know of what was pushed just now', async () => {
    let looks = 0;
    const late = scripted(() => {
      if (++looks < 3) throw awsError('ImageNotFoundException');
      return image;
    });
    expect(await late.images.findPushed('d1')).toEqual({ digest, sizeBytes: 123 });
    expect(late.pauses).toEqual([1000, 1000]);
    const never = scripted(() => ({ imageDetails: [] }));
    await expect(never.images.findPushed('d1')).rejects.toMatchObject({ kind: 'busy' });
    expect(never.calls).toHaveLength(5);
  });
});
