import { Stack } from 'aws-cdk-lib';
import type { CfnProject } from 'aws-cdk-lib/aws-codebuild';
import { CfnSecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import type { BuildConfig } from './config.ts';
import type { Grant } from './permissions.ts';

/** A network of the account's in which builds run: nothing comes in, everything may go out. */
export class BuildNetwork extends Construct {
  private readonly securityGroup: CfnSecurityGroup;
  private readonly vpc: NonNullable<BuildConfig['vpc']>;

  constructor(scope: Construct, id: string, vpc: NonNullable<BuildConfig['vpc']>) {
    super(scope, id);
    this.vpc = vpc;
    this.securityGroup = new CfnSecurityGroup(this, 'SecurityGroup', {
      vpcId: vpc.id,
      groupDescription: 'Builds of Sluice: nothing comes in',
      securityGroupEgress: [
        { ipProtocol: '-1', cidrIp: '0.0.0.0/0' },
        { ipProtocol: '-1', cidrIpv6: '::/0' },
      ],
    });
  }

  hold(project: CfnProject): void {
    project.vpcConfig = {
      vpcId: this.vpc.id,
      subnets: [...this.vpc.subnetIds],
      securityGroupIds: [this.securityGroup.attrGroupId],
    };
  }

  /** https://docs.aws.amazon.com/codebuild/latest/userguide/auth-and-access-control-iam-identity-based-access-control.html#customer-managed-policies-example-create-vpc-network-interface */
  grants(): readonly Grant[] {
    const stack = Stack.of(this);
    const ec2 = (resource: string, resourceName: string) => stack.formatArn({ service: 'ec2', resource, resourceName });
    return [
      {
        by: 'service',
        actions: [
          'ec2:CreateNetworkInterface',
          'ec2:DeleteNetworkInterface',
          'ec2:DescribeDhcpOptions',
          'ec2:DescribeNetworkInterfaces',
          'ec2:DescribeSecurityGroups',
          'ec2:DescribeSubnets',
          'ec2:DescribeVpcs',
        ],
        within: ['*'],
        because:
          "CodeBuild makes a build's network interface in its role's name, as AWS documents it; describing is granted on no resource.",
      },
      {
        by: 'service',
        actions: ['ec2:CreateNetworkInterfacePermission'],
        within: [ec2('network-interface', '*')],
        conditions: {
          StringEquals: { 'ec2:AuthorizedService': 'codebuild.amazonaws.com' },
          ArnEquals: { 'ec2:Subnet': this.vpc.subnetIds.map((id) => ec2('subnet', id)) },
        },
        because: 'The interface has no name before it is made; only CodeBuild is let in, and in these subnets.',
      },
    ];
  }
}
