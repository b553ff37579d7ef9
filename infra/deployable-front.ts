import { Duration } from 'aws-cdk-lib';
import type { IVpc } from 'aws-cdk-lib/aws-ec2';
import {
  ApplicationLoadBalancer,
  ApplicationListenerRule,
  ApplicationProtocol,
  ApplicationTargetGroup,
  ListenerAction,
  ListenerCertificate,
  ListenerCondition,
  SslPolicy,
  TargetGroupLoadBalancingAlgorithmType,
  TargetType,
  type IApplicationLoadBalancerTarget,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { Front, ServiceSettings } from './deployable-props.ts';

export type ServiceFront = {
  readonly targetGroup: ApplicationTargetGroup;
  /** Its own load balancer, if it has one. */
  readonly loadBalancer: ApplicationLoadBalancer | undefined;
};

/** A target group with the service in it, behind a rule of a listener or a load balancer of its own. */
export function serviceFront(
  scope: Construct,
  options: { readonly settings: ServiceSettings; readonly vpc: IVpc; readonly service: IApplicationLoadBalancerTarget },
): ServiceFront {
  const { settings, vpc, service } = options;
  const targetGroup = targets(scope, settings, vpc);
  const { front } = settings;
  const loadBalancer = front.kind === 'listener' ? undefined : ownLoadBalancer(scope, vpc, { front, targetGroup });
  if (front.kind === 'listener') {
    new ApplicationListenerRule(scope, 'Rule', {
      listener: front.listener,
      priority: front.priority,
      conditions: conditionsOf(front),
      targetGroups: [targetGroup],
    });
  }
  targetGroup.addTarget(service);
  return { targetGroup, loadBalancer };
}

function targets(scope: Construct, settings: ServiceSettings, vpc: IVpc): ApplicationTargetGroup {
  const { health, drainSeconds, stickySeconds, containerPort } = settings;
  return new ApplicationTargetGroup(scope, 'Targets', {
    vpc,
    port: containerPort,
    protocol: ApplicationProtocol.HTTP,
    targetType: TargetType.IP,
    // The task that has the least to do is asked: a new one is not flooded, a slow one not buried.
    loadBalancingAlgorithmType: TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
    deregistrationDelay: Duration.seconds(drainSeconds),
    ...(stickySeconds === undefined ? {} : { stickinessCookieDuration: Duration.seconds(stickySeconds) }),
    healthCheck: {
      path: health.path,
      interval: Duration.seconds(health.intervalSeconds),
      timeout: Duration.seconds(health.timeoutSeconds),
      healthyThresholdCount: health.healthyThreshold,
      unhealthyThresholdCount: health.unhealthyThreshold,
      // As on one machine: a redirect is a failure.
      healthyHttpCodes: '200-299',
    },
  });
}

function conditionsOf({ hosts = [], paths = [] }: Extract<Front, { kind: 'listener' }>): ListenerCondition[] {
  return [
    ...(hosts.length > 0 ? [ListenerCondition.hostHeaders([...hosts])] : []),
    ...(paths.length > 0 ? [ListenerCondition.pathPatterns([...paths])] : []),
  ];
}

function ownLoadBalancer(
  scope: Construct,
  vpc: IVpc,
  to: { readonly front: Extract<Front, { kind: 'load-balancer' }>; readonly targetGroup: ApplicationTargetGroup },
): ApplicationLoadBalancer {
  const { certificateArn, internal = false } = to.front;
  const loadBalancer = new ApplicationLoadBalancer(scope, 'LoadBalancer', {
    vpc,
    internetFacing: !internal,
    dropInvalidHeaderFields: true,
  });
  const defaultTargetGroups = [to.targetGroup];
  if (certificateArn === undefined) {
    loadBalancer.addListener('Http', { port: 80, defaultTargetGroups });
  } else {
    loadBalancer.addListener('Https', {
      port: 443,
      certificates: [ListenerCertificate.fromArn(certificateArn)],
      sslPolicy: SslPolicy.RECOMMENDED_TLS,
      defaultTargetGroups,
    });
    const redirect = ListenerAction.redirect({ protocol: 'HTTPS', port: '443', permanent: true });
    loadBalancer.addListener('Http', { port: 80, defaultAction: redirect });
  }
  acknowledge(loadBalancer, ...open);
  return loadBalancer;
}

const open = [
  {
    id: 'AwsSolutions-ELB2',
    reason: 'Access logs need a bucket that is the team’s to choose: loadBalancer.logAccessLogs(bucket) turns them on.',
  },
  { id: 'AwsSolutions-EC23', reason: 'It is the service’s front door: who may reach the network may ask it.' },
];
