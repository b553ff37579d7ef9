import { ArnFormat, CfnOutput, Stack, Tags } from 'aws-cdk-lib';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import {
  appTag,
  blobPrefix,
  buildKinds,
  buildPolicyName,
  buildProjectName,
  buildRoleName,
  buildRolePath,
  imageRepository,
  knownHostsKey,
  managedTag,
  parameterName,
  secretName,
} from '../functions/runtime/aws-names.ts';
import { acknowledgeGrants } from './acknowledge.ts';
import { nameRules, refuse } from './deployable-props.ts';
import { policyOf, type Grant } from './permissions.ts';

export type DeployableAppProps = {
  /** The installation of Sluice that builds it, in this account and region. Default: `sluice`. */
  readonly prefix?: string;
  /** The app's id, as in `sluice apps apply`. */
  readonly app: string;
  /** Which of the app's secrets is its source's token (`source.credential.secret`). Default: none; the deploy key is always readable. */
  readonly sourceToken?: string;
  /** Where artifacts are kept. Default: what the installation says in its SSM parameter. */
  readonly bucketName?: string;
};

/**
 * What an app needs in order to be built: a role of its own, as which all its builds run. The code that is built runs as
 * this role, too, so it holds what an app may know of itself and nothing of another: the credential of its source, its
 * repository of images, and new objects in the bucket. The app's other secrets are not its builds' to read.
 */
export class DeployableApp extends Construct {
  readonly buildRole: Role;

  constructor(scope: Construct, id: string, props: DeployableAppProps) {
    super(scope, id);
    const { prefix = 'sluice', app, sourceToken } = props;
    refuse(`The app ${app}`, [
      ...nameRules(props),
      [
        'sourceToken',
        sourceToken === undefined || /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/.test(sourceToken),
        'the name of a secret: 1 to 64 lower-case letters, digits and inner dashes',
      ],
    ]);
    const bucketName =
      props.bucketName ?? StringParameter.valueForStringParameter(this, parameterName(prefix, 'bucket-name'));
    const grants = buildRoleGrants(Stack.of(this), { prefix, app, sourceToken, bucketName });
    this.buildRole = new Role(this, 'BuildRole', {
      roleName: buildRoleName(prefix, app),
      path: buildRolePath(prefix),
      description: `As which the builds of the app ${app} run (Sluice)`,
      assumedBy: buildsOf(Stack.of(this), prefix),
      managedPolicies: [ManagedPolicy.fromManagedPolicyName(this, 'EveryBuild', buildPolicyName(prefix))],
      inlinePolicies: { app: policyOf(grants) },
    });
    acknowledgeGrants(this.buildRole, grants);
    Tags.of(this).add(managedTag, prefix);
    Tags.of(this).add(appTag, app);
    new CfnOutput(this, 'BuildRoleArn', {
      value: this.buildRole.roleArn,
      description: `The builds of ${app} run as it`,
    });
  }
}

/** CodeBuild, for a build of one of the installation's projects: https://docs.aws.amazon.com/codebuild/latest/userguide/cross-service-confused-deputy-prevention.html */
function buildsOf(stack: Stack, prefix: string): ServicePrincipal {
  const projects = buildKinds.map((kind) =>
    stack.formatArn({ service: 'codebuild', resource: 'project', resourceName: buildProjectName(prefix, kind) }),
  );
  return new ServicePrincipal('codebuild.amazonaws.com', {
    conditions: { StringEquals: { 'aws:SourceAccount': stack.account, 'aws:SourceArn': projects } },
  });
}

type BuildRoleOf = {
  readonly prefix: string;
  readonly app: string;
  readonly sourceToken: string | undefined;
  readonly bucketName: string;
};

function buildRoleGrants(stack: Stack, options: BuildRoleOf): readonly Grant[] {
  return [...readsSourceCredential(stack, options), ...pushesImages(stack, options), ...keepsArtifacts(stack, options)];
}

function readsSourceCredential(stack: Stack, { prefix, app, sourceToken }: BuildRoleOf): readonly Grant[] {
  const names = [`apps/${app}/deploy-key`, ...(sourceToken === undefined ? [] : [`apps/${app}/secret/${sourceToken}`])];
  return [
    {
      by: 'code',
      actions: ['secretsmanager:GetSecretValue'],
      within: names.map((name) =>
        stack.formatArn({
          service: 'secretsmanager',
          resource: 'secret',
          resourceName: `${secretName(prefix, name)}-??????`,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ),
      because: 'AWS puts six characters of its own behind the name of a secret.',
    },
  ];
}

/** https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html */
function pushesImages(stack: Stack, { prefix, app }: BuildRoleOf): readonly Grant[] {
  const repository = stack.formatArn({
    service: 'ecr',
    resource: 'repository',
    resourceName: imageRepository(prefix, app),
  });
  return [
    {
      by: 'code',
      actions: [
        'ecr:CreateRepository',
        'ecr:GetLifecyclePolicy',
        'ecr:PutLifecyclePolicy',
        'ecr:DescribeImages',
        'ecr:BatchCheckLayerAvailability',
        'ecr:BatchGetImage',
        'ecr:GetDownloadUrlForLayer',
        'ecr:InitiateLayerUpload',
        'ecr:UploadLayerPart',
        'ecr:CompleteLayerUpload',
        'ecr:PutImage',
      ],
      on: [repository],
    },
    {
      by: 'code',
      actions: ['ecr:GetAuthorizationToken'],
      within: ['*'],
      because: 'AWS grants it on no resource: the token is the account’s, and good for what this role may do.',
    },
  ];
}

/**
 * New blobs only: S3 refuses to replace one, whatever the code of a build asks for. Nothing is removed, nothing listed.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
 */
function keepsArtifacts(stack: Stack, { app, bucketName }: BuildRoleOf): readonly Grant[] {
  const objects = (key: string) =>
    stack.formatArn({ service: 's3', region: '', account: '', resource: bucketName, resourceName: key });
  const because = 'The names of blobs are their digests, which nobody knows before they are built.';
  const blobs = [objects(`${blobPrefix}*`)];
  return [
    {
      by: 'code',
      actions: ['s3:PutObject'],
      within: blobs,
      because,
      conditions: { Null: { 's3:if-none-match': 'false' } },
    },
    // The parts of a large one cannot be conditional, only its completion; it replaces nothing before that.
    {
      by: 'code',
      actions: ['s3:PutObject'],
      within: blobs,
      because,
      conditions: { Bool: { 's3:ObjectCreationOperation': 'false' } },
    },
    { by: 'code', actions: ['s3:AbortMultipartUpload'], within: blobs, because },
    {
      by: 'code',
      actions: ['s3:GetObject'],
      within: blobs,
      because:
        'What was uploaded is read to import and check it, and a blob that is there already is compared by its checksum, which S3 tells to who may read it. Blobs cannot be listed: who reads one knows its digest.',
    },
    { by: 'code', actions: ['s3:GetObject', 's3:PutObject'], on: [objects(knownHostsKey(app))] },
  ];
}
