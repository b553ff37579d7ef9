import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { deployKeyPath, secretPath } from '../../functions/apps/secrets.ts';
import {
  blobKey,
  buildRoleName,
  buildRolePath,
  imageRepository,
  secretName,
} from '../../functions/runtime/aws-names.ts';
import { DeployableApp, type DeployableAppProps } from '../../infra/deployable-app.ts';
import { allows, trustOf } from './policy.ts';
import { flat, outFolder, resourceOf, statementsOf, type Resource } from './stand-in.ts';

const place = { account: '111122223333', region: 'eu-central-1' };
const digest = `sha256:${'ab'.repeat(32)}` as const;

function roleOf(props: DeployableAppProps): Resource {
  const stack = new Stack(new App({ outdir: outFolder(), analyticsReporting: false }), 'app', { env: place });
  new DeployableApp(stack, 'App', { bucketName: 'artifacts', ...props });
  return resourceOf(Template.fromStack(stack), 'AWS::IAM::Role');
}

// The first synthesis loads CDK, which takes long on a machine that is busy.
beforeAll(() => void roleOf({ app: 'first' }), 120_000);

const secret = (path: string, prefix = 'sluice') =>
  `arn:<AWS::Partition>:secretsmanager:eu-central-1:111122223333:secret:${secretName(prefix, path)}-AbCdEf`;
const repository = (app: string, prefix = 'sluice') =>
  `arn:<AWS::Partition>:ecr:eu-central-1:111122223333:repository/${imageRepository(prefix, app)}`;
const object = (key: string) => `arn:<AWS::Partition>:s3:::artifacts/${key}`;
const read = (path: string) => ({ action: 'secretsmanager:GetSecretValue', resource: secret(path) });
const word = fc.stringMatching(/^[a-z](?:[a-z0-9-]{0,8}[a-z0-9])?$/);

describe('the role of an app’s builds', () => {
  it('has the name and the path by which the control plane passes it on', () => {
    const { Properties } = roleOf({ prefix: 'team', app: 'web' });
    expect(Properties['RoleName']).toBe(buildRoleName('team', 'web'));
    expect(Properties['Path']).toBe(buildRolePath('team'));
    expect(flat((Properties['ManagedPolicyArns'] as unknown[])[0])).toMatch(/:policy\/team-build$/);
  });

  it('is trusted by CodeBuild for the projects of its installation, and by nobody else', () => {
    const { Principal, Action, Condition, Effect } = trustOf(roleOf({ app: 'web' }));
    expect({ Principal, Action, Effect }).toEqual({
      Principal: { Service: 'codebuild.amazonaws.com' },
      Action: 'sts:AssumeRole',
      Effect: 'Allow',
    });
    const equals = Condition?.['StringEquals'] as { 'aws:SourceAccount': string; 'aws:SourceArn': unknown[] };
    expect(equals['aws:SourceAccount']).toBe('111122223333');
    expect(equals['aws:SourceArn'].map(flat)).toEqual(
      ['image', 'bundle', 'fetch', 'registry', 'import', 'check'].map(
        (kind) => `arn:<AWS::Partition>:codebuild:eu-central-1:111122223333:project/sluice-build-${kind}`,
      ),
    );
  });

  it('reads its own deploy key, and of its secrets the token of its source alone', () => {
    const statements = statementsOf(roleOf({ app: 'web', sourceToken: 'git' }));
    expect(allows(statements, read(deployKeyPath('web')))).toBe(true);
    expect(allows(statements, read(secretPath('web', 'git')))).toBe(true);
    expect(allows(statements, read(secretPath('web', 'database-url')))).toBe(false);
    expect(allows(statements, read(secretPath('web', 'git-tokens')))).toBe(false);
    expect(allows(statementsOf(roleOf({ app: 'web' })), read(secretPath('web', 'git')))).toBe(false);
    expect(allows(statements, read('control/admin-token'))).toBe(false);
  });

  it('reaches nothing of another app, whatever the two are called', () => {
    fc.assert(
      fc.property(word, word, word, (app, other, token) => {
        fc.pre(app !== other);
        const statements = statementsOf(roleOf({ app, sourceToken: token }));
        expect(allows(statements, read(deployKeyPath(app)))).toBe(true);
        const foreign = [
          read(deployKeyPath(other)),
          read(secretPath(other, token)),
          { action: 'ecr:PutImage', resource: repository(other) },
          { action: 'ecr:BatchGetImage', resource: repository(other) },
          { action: 'ecr:CreateRepository', resource: repository(other) },
          { action: 's3:GetObject', resource: object(`known-hosts/${other}`) },
          { action: 's3:PutObject', resource: object(`known-hosts/${other}`) },
        ];
        expect(foreign.filter((call) => allows(statements, call))).toEqual([]);
      }),
      { numRuns: 15 },
    );
  });

  it('makes and fills its repository, and cannot remove an image or a repository', () => {
    const statements = statementsOf(roleOf({ app: 'web' }));
    const able = (action: string) => allows(statements, { action, resource: repository('web') });
    expect(
      ['ecr:CreateRepository', 'ecr:PutLifecyclePolicy', 'ecr:PutImage', 'ecr:UploadLayerPart'].filter(able),
    ).toHaveLength(4);
    const never = [
      'ecr:DeleteRepository',
      'ecr:BatchDeleteImage',
      'ecr:SetRepositoryPolicy',
      'ecr:PutImageTagMutability',
    ];
    expect(never.filter(able)).toEqual([]);
    expect(allows(statements, { action: 'ecr:PutImage', resource: repository('web', 'other') })).toBe(false);
  });

  it('stores a blob under a condition alone, so that none is replaced', () => {
    const statements = statementsOf(roleOf({ app: 'web' }));
    const put = (context?: Record<string, string>) =>
      allows(statements, {
        action: 's3:PutObject',
        resource: object(blobKey(digest)),
        ...(context ? { context } : {}),
      });
    expect(put({ 's3:if-none-match': '*', 's3:ObjectCreationOperation': 'true' })).toBe(true);
    expect(put({ 's3:ObjectCreationOperation': 'true' })).toBe(false);
    // A part: it is no object before the upload is completed, which is one with the operation that creates.
    expect(put({ 's3:ObjectCreationOperation': 'false' })).toBe(true);
  });

  it('removes nothing, lists nothing, and writes nowhere else in the bucket', () => {
    const statements = statementsOf(roleOf({ app: 'web' }));
    const context = { 's3:if-none-match': '*' };
    const calls = [
      { action: 's3:DeleteObject', resource: object(blobKey(digest)) },
      { action: 's3:DeleteObjectVersion', resource: object(blobKey(digest)) },
      { action: 's3:ListBucket', resource: 'arn:<AWS::Partition>:s3:::artifacts' },
      { action: 's3:PutObject', resource: object('uploads/x/y'), context },
      { action: 's3:PutObject', resource: object('agent.zip'), context },
      { action: 's3:GetObject', resource: object('uploads/x/y') },
    ];
    expect(calls.filter((call) => allows(statements, call))).toEqual([]);
  });

  it('may do on everything one thing only, which AWS grants no other way', () => {
    const wide = statementsOf(roleOf({ app: 'web', sourceToken: 'git' })).filter(({ Resource: on }) => on === '*');
    expect(wide.map(({ Action }) => Action)).toEqual(['ecr:GetAuthorizationToken']);
  });

  it('finds the bucket by what the installation says in its parameter', () => {
    const stack = new Stack(new App({ outdir: outFolder(), analyticsReporting: false }), 'app');
    new DeployableApp(stack, 'App', { prefix: 'team', app: 'web' });
    const { Parameters } = Template.fromStack(stack).toJSON() as { Parameters: Record<string, { Default: string }> };
    expect(Object.values(Parameters).map(({ Default }) => Default)).toContain('/team/bucket-name');
  });

  it.each([
    [{ app: 'Web' }, 'app: expected 1 to 40 lower-case letters'],
    [{ app: '' }, 'app: expected'],
    [{ app: 'a'.repeat(41) }, 'app: expected'],
    [{ app: 'web', prefix: 'much-too-long-prefix' }, 'prefix: expected 1 to 16'],
    [{ app: 'web', sourceToken: 'a/b' }, 'sourceToken: expected the name of a secret'],
    [{ app: 'web*' }, 'app: expected'],
  ])('is refused with a sentence: %j', (props, told) => {
    expect(() => roleOf(props)).toThrow(told);
  });
});
