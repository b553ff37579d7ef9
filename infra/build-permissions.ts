import type { Arns } from './arns.ts';
import { assetPrefix } from './names.ts';
import type { Grant } from './permissions.ts';

/** What every build needs whatever its app: the agent, and its log. The rest is in its app's own role. */
export function buildGrants(arns: Arns, assetBucketArn: string): readonly Grant[] {
  return [
    ...idleBuildGrants(arns),
    {
      by: 'service',
      actions: ['s3:GetObject', 's3:GetObjectVersion'],
      within: [`${assetBucketArn}/${assetPrefix(arns.prefix)}*`],
      because:
        'The agent is there under the digest of its version; a build that is queued during an upgrade has the old one.',
    },
    // What CodeBuild asks of a source's bucket before it reads from it: https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
    { by: 'service', actions: ['s3:GetBucketAcl', 's3:GetBucketLocation'], on: [assetBucketArn] },
  ];
}

export function idleBuildGrants({ buildLogGroups }: Arns): readonly Grant[] {
  return [
    {
      by: 'service',
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      within: buildLogGroups.map((group) => `${group}:log-stream:*`),
      because: 'Every build makes a stream of its own in the group of its kind.',
    },
  ];
}
