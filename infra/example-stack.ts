import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { SubnetType, Vpc, type IVpc } from 'aws-cdk-lib/aws-ec2';
import { Cluster } from 'aws-cdk-lib/aws-ecs';
import { ApplicationLoadBalancer, ApplicationProtocol, ListenerAction } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { DeployableApp } from './deployable-app.ts';
import { DeployableService } from './deployable-service.ts';

export type ExampleStackProps = StackProps & {
  /** The installation of Sluice. Default: `sluice`. */
  readonly prefix?: string;
  /** An existing network with public subnets. Default: a new one that costs nothing itself. */
  readonly vpc?: IVpc;
};

/**
 * What an app team's own stack may look like: `examples/hello` as two apps, one built to an image and one to a bundle,
 * behind one load balancer. Unlike the control plane it costs while nothing happens: the load balancer, and four small
 * tasks with public addresses.
 */
export class ExampleStack extends Stack {
  readonly image: DeployableService;
  readonly bundle: DeployableService;

  constructor(scope: Construct, id: string, props: ExampleStackProps = {}) {
    const { prefix = 'sluice', vpc: given, ...rest } = props;
    super(scope, id, { description: 'An example of what an app team deploys with Sluice', ...rest });
    const vpc = given ?? (publicNetwork(this) as IVpc);
    // By name, so that the app files of examples/hello know it.
    const cluster = new Cluster(this, 'Cluster', { vpc, clusterName: `${prefix}-example` });
    acknowledge(cluster, noInsights);
    const loadBalancer = new ApplicationLoadBalancer(this, 'LoadBalancer', {
      vpc,
      internetFacing: true,
      dropInvalidHeaderFields: true,
    });
    acknowledge(loadBalancer, ...publicFront);
    const listenAt = (port: number) =>
      loadBalancer.addListener(`Port${port}`, {
        port,
        protocol: ApplicationProtocol.HTTP,
        defaultAction: ListenerAction.fixedResponse(404, { contentType: 'text/plain', messageBody: 'Nothing is here' }),
      });
    const common = {
      prefix,
      environment: 'dev',
      target: 'web',
      cluster,
      // Public subnets: no NAT gateway, which alone would cost more than all the rest.
      subnets: { subnetType: SubnetType.PUBLIC },
      assignPublicIp: true,
    };
    new DeployableApp(this, 'HelloImageApp', { prefix, app: 'hello-image' });
    this.image = new DeployableService(this, 'HelloImage', {
      ...common,
      app: 'hello-image',
      runs: { kind: 'image' },
      front: { kind: 'listener', listener: listenAt(80), priority: 10, paths: ['/*'] },
    });
    new DeployableApp(this, 'HelloBundleApp', { prefix, app: 'hello-bundle' });
    this.bundle = new DeployableService(this, 'HelloBundle', {
      ...common,
      app: 'hello-bundle',
      runs: { kind: 'bundle' },
      front: { kind: 'listener', listener: listenAt(8080), priority: 10, paths: ['/*'] },
      stickySeconds: Duration.hours(1).toSeconds(),
      readonlyRoot: true,
    });
    const url = `http://${loadBalancer.loadBalancerDnsName}`;
    new CfnOutput(this, 'ImageUrl', { value: url });
    new CfnOutput(this, 'BundleUrl', { value: `${url}:8080` });
  }
}

function publicNetwork(scope: Construct): Vpc {
  const vpc = new Vpc(scope, 'Network', {
    maxAzs: 2,
    natGateways: 0,
    subnetConfiguration: [{ name: 'public', subnetType: SubnetType.PUBLIC, mapPublicIpOnLaunch: false }],
    restrictDefaultSecurityGroup: false,
  });
  acknowledge(vpc, noFlowLog);
  return vpc;
}

const noInsights = {
  id: 'AwsSolutions-ECS4',
  reason: 'An example: Container Insights costs by the metric, and what Sluice decides by does not come from it.',
};
const noFlowLog = {
  id: 'AwsSolutions-VPC7',
  reason: 'An example with a public page: a flow log would cost more than it tells.',
};
const publicFront = [
  { id: 'AwsSolutions-ELB2', reason: 'An example: access logs need a bucket, which outlives the stack.' },
  { id: 'AwsSolutions-EC23', reason: 'An example with a public page: everybody may ask it.' },
];
