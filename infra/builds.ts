import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Aws, Duration } from 'aws-cdk-lib';
import {
  BuildSpec,
  ComputeType,
  LinuxArmBuildImage,
  LinuxBuildImage,
  Project,
  Source,
  type CfnProject,
} from 'aws-cdk-lib/aws-codebuild';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { Construct } from 'constructs';
import { parse } from 'yaml';
import type { BuildKind } from '../functions/ports/builder.ts';
import {
  agentFileName,
  buildKinds,
  buildLogGroup,
  buildPolicyName,
  buildProjectName,
} from '../functions/runtime/aws-names.ts';
import { acknowledge, acknowledgeGrants } from './acknowledge.ts';
import { type Arns } from './arns.ts';
import { BuildNetwork } from './build-network.ts';
import { buildGrants, idleBuildGrants } from './build-permissions.ts';
import type { BuildSize, Settings } from './config.ts';
import { logGroupOptions } from './logs.ts';
import { policyOf, type Grant } from './permissions.ts';

/** Both architectures' images have it; the agent runs on any Node from 20 on. https://docs.aws.amazon.com/codebuild/latest/userguide/available-runtimes.html */
const nodeVersion = 24;

const computeTypes: Record<BuildSize, ComputeType> = {
  small: ComputeType.SMALL,
  medium: ComputeType.MEDIUM,
  large: ComputeType.LARGE,
};

export type ControlBuildsOptions = {
  readonly settings: Settings;
  readonly arns: Arns;
  /** A folder with the agent's one file in it. */
  readonly agentFolder: string;
  readonly environment: Readonly<Record<string, string>>;
};

/** One project a kind of build. Each build runs as its app's own role, which the app's stack makes. */
export class ControlBuilds extends Construct {
  readonly projects: Readonly<Record<BuildKind, Project>>;

  constructor(scope: Construct, id: string, options: ControlBuildsOptions) {
    super(scope, id);
    const { settings, arns } = options;
    const agent = new Asset(this, 'Agent', { path: options.agentFolder });
    const network = settings.builds.vpc && new BuildNetwork(this, 'Network', settings.builds.vpc);
    const networkGrants = network?.grants() ?? [];
    const needed = [...buildGrants(arns, agent.bucket.bucketArn), ...networkGrants];
    const policy = new ManagedPolicy(this, 'Policy', {
      managedPolicyName: buildPolicyName(settings.prefix),
      description:
        'What every build of Sluice needs whatever its app; the role of an app for its builds has it attached',
      document: policyOf(needed),
    });
    acknowledgeGrants(policy, needed);
    const role = this.idleRole([...idleBuildGrants(arns), ...networkGrants]);
    this.projects = Object.fromEntries(
      buildKinds.map((kind) => [kind, this.project(kind, { ...options, agent, role, network })]),
    ) as unknown as Record<BuildKind, Project>;
  }

  /** A project must have a role; a build that is started without its app's can do nothing. */
  private idleRole(grants: readonly Grant[]): Role {
    const role = new Role(this, 'IdleRole', {
      assumedBy: new ServicePrincipal('codebuild.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
      description: 'A build of Sluice that was started without the role of its app: it can write its log, and no more',
      inlinePolicies: { calls: policyOf(grants) },
    });
    acknowledgeGrants(role, grants);
    return role;
  }

  private project(
    kind: BuildKind,
    options: ControlBuildsOptions & {
      readonly agent: Asset;
      readonly role: Role;
      readonly network: BuildNetwork | undefined;
    },
  ): Project {
    const { settings, agent, network } = options;
    const { architecture, imageSize, bundleSize, concurrent, queuedMinutes } = settings.builds;
    const size: Record<BuildKind, BuildSize> = {
      image: imageSize,
      bundle: bundleSize,
      fetch: 'small',
      registry: 'small',
      import: 'small',
      check: imageSize,
    };
    const project = new Project(this, kind, {
      projectName: buildProjectName(settings.prefix, kind),
      description: `Sluice: buildspecs/${kind}.yml`,
      source: Source.s3({ bucket: agent.bucket, path: agent.s3ObjectKey }),
      buildSpec: BuildSpec.fromObjectToYaml(readBuildspec(kind)),
      environment: {
        buildImage:
          architecture === 'arm64'
            ? LinuxArmBuildImage.AMAZON_LINUX_2023_STANDARD_4_0
            : LinuxBuildImage.AMAZON_LINUX_2023_6,
        computeType: computeTypes[size[kind]],
        // Docker needs it, which builds images and runs those of checks; what needs no Docker does without.
        privileged: kind === 'image' || kind === 'check',
      },
      environmentVariables: Object.fromEntries(
        Object.entries(buildEnvironment(options)).map(([name, value]) => [name, { value }]),
      ),
      role: options.role.withoutPolicyUpdates(),
      // The definition sets the app's own limit for each build; this one holds without it.
      timeout: Duration.hours(1),
      queuedTimeout: Duration.minutes(queuedMinutes),
      // A build that is made again is a decision of the workflow's.
      autoRetryLimit: 0,
      ...(concurrent === undefined ? {} : { concurrentBuildLimit: concurrent }),
      logging: {
        cloudWatch: {
          logGroup: new LogGroup(this, `${kind}Log`, {
            logGroupName: buildLogGroup(settings.prefix, kind),
            ...logGroupOptions(settings),
          }),
        },
      },
    });
    acknowledge(project, noArtifacts);
    network?.hold(project.node.defaultChild as CfnProject);
    return project;
  }
}

const noArtifacts = {
  id: 'AwsSolutions-CB4',
  reason: "The key is AWS's own for S3; it is for artifacts and caches of CodeBuild, and these projects have neither.",
};

function buildEnvironment({ environment, settings }: ControlBuildsOptions): Readonly<Record<string, string>> {
  const { buildKitImage, sbomScanner } = settings.builds;
  return {
    ...environment,
    SLUICE_AGENT: agentFileName,
    SLUICE_WORK: '/tmp/sluice-work',
    SLUICE_PREFIX: settings.prefix,
    ...(buildKitImage === undefined ? {} : { SLUICE_BUILDKIT_IMAGE: buildKitImage }),
    ...(sbomScanner === undefined ? {} : { SLUICE_SBOM_SCANNER: sbomScanner }),
  };
}

/** The very file that runs on one machine, and which Node CodeBuild is to have. */
function readBuildspec(kind: BuildKind): Record<string, unknown> {
  const file = join(import.meta.dirname, '../buildspecs', `${kind}.yml`);
  const spec = parse(readFileSync(file, 'utf8')) as { readonly phases: Record<string, unknown> };
  return { ...spec, phases: { install: { 'runtime-versions': { nodejs: nodeVersion } }, ...spec.phases } };
}
