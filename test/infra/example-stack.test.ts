import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { beforeAll, describe, expect, it } from 'vitest';
import { ExampleStack, type ExampleStackProps } from '../../infra/example-stack.ts';
import { validatedApp } from '../../infra/validated-app.ts';
import { outFolder, resourcesOf } from './stand-in.ts';

const make = (props: ExampleStackProps = {}, app = new App({ outdir: outFolder(), analyticsReporting: false })) =>
  Template.fromStack(new ExampleStack(app, 'example', props));

let template: Template;
// The first synthesis loads CDK, which takes long on a machine that is busy.
beforeAll(() => {
  template = make();
}, 120_000);

describe('the example', () => {
  it('is as CloudFormation takes it, and cdk-nag has nothing to say that is not acknowledged', () => {
    const app = validatedApp({ outdir: outFolder() });
    new ExampleStack(app, 'example');
    expect(() => app.synth()).not.toThrow();
  });

  it('is as it was reviewed', async () => {
    // The program that unpacks bundles stands in a file of its own.
    const steady = JSON.stringify(
      template.toJSON(),
      (_name, value: unknown) =>
        typeof value === 'string' && value.includes('import hashlib') ? '(a file of its own)' : value,
      2,
    );
    await expect(`${steady}\n`).toMatchFileSnapshot('snapshots/example.json');
  });

  it('has one app by image and one by bundle, each with a role for its builds and a service', () => {
    const names = resourcesOf(template, 'AWS::ECS::Service').map(([, { Properties }]) => Properties['ServiceName']);
    expect(names).toEqual(['hello-image-dev-web', 'hello-bundle-dev-web']);
    const roles = resourcesOf(template, 'AWS::IAM::Role').flatMap(([, { Properties }]) => Properties['RoleName'] ?? []);
    expect(roles).toEqual(['sluice-build-hello-image', 'sluice-build-hello-bundle']);
  });

  it('has no role outside of the two paths that the control plane may pass on', () => {
    const paths = resourcesOf(template, 'AWS::IAM::Role').map(([, { Properties }]) => Properties['Path']);
    expect(paths).toHaveLength(6);
    expect(new Set(paths)).toEqual(new Set(['/sluice/build/', '/sluice/task/']));
  });

  it('pays for no NAT gateway, and makes no network where one is given', () => {
    expect(resourcesOf(template, 'AWS::EC2::VPC')).toHaveLength(1);
    expect(resourcesOf(template, 'AWS::EC2::NatGateway')).toEqual([]);
    const app = new App({ outdir: outFolder(), analyticsReporting: false });
    const network = new Stack(app, 'network');
    const vpc = Vpc.fromVpcAttributes(network, 'Given', {
      vpcId: 'vpc-0a1b2c3d',
      availabilityZones: ['eu-central-1a', 'eu-central-1b'],
      publicSubnetIds: ['subnet-0a1b2c3d', 'subnet-1a1b2c3d'],
    });
    // A stack must have something in it.
    new SecurityGroup(network, 'Any', { vpc });
    expect(resourcesOf(make({ vpc }, app), 'AWS::EC2::VPC')).toEqual([]);
  });
});
