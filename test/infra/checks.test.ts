import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Validations, type App } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { CfnPolicy } from 'aws-cdk-lib/aws-iam';
import { CfnQueue } from 'aws-cdk-lib/aws-sqs';
import type { IConstruct } from 'constructs';
import { describe, expect, it, vi } from 'vitest';
import type { ControlPlaneConfig } from '../../infra/config.ts';
import { ControlPlaneStack } from '../../infra/control-plane-stack.ts';
import { stages } from '../../infra/stages.ts';
import { validatedApp } from '../../infra/validated-app.ts';
import { code, outFolder } from './stand-in.ts';

/** Every option that a configuration has, so that no branch of the stack escapes the checks. */
const everything: ControlPlaneConfig = {
  prefix: 'sluice',
  account: '111111111111',
  region: 'eu-central-1',
  domain: { name: 'sluice.example.com', hostedZone: { id: 'Z0ABC', name: 'example.com' } },
  alarmEmail: 'ops@example.com',
  accessLogBucket: 'acme-logs',
  clusters: ['web'],
  concurrency: { api: 50, workflow: 50 },
  builds: { architecture: 'arm64', concurrent: 5, vpc: { id: 'vpc-0a1b2c3d', subnetIds: ['subnet-0a1b2c3d'] } },
};

function checked(config: ControlPlaneConfig): { readonly app: App; readonly stack: ControlPlaneStack } {
  const app = validatedApp({ outdir: outFolder() });
  return { app, stack: new ControlPlaneStack(app, `${config.prefix}-control-plane`, { config, code }) };
}

/** Synthesises; answers with the rules that were broken. What is printed for people is kept out of the test's output. */
function findings(app: App): readonly string[] {
  const silent = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const errors = vi.spyOn(console, 'error').mockReturnValue();
  try {
    app.synth();
    return [];
  } catch (error) {
    expect(error).toMatchObject({ message: expect.stringContaining('validation-report.json') as string });
    const report = JSON.parse(readFileSync(join(app.outdir, 'validation-report.json'), 'utf8')) as Report;
    return report.pluginReports.flatMap(({ violations }) => violations.map(({ ruleName }) => ruleName));
  } finally {
    silent.mockRestore();
    errors.mockRestore();
  }
}
type Report = { readonly pluginReports: readonly { readonly violations: readonly { readonly ruleName: string }[] }[] };

describe('the checks of CloudFormation and cdk-nag', () => {
  it.each(Object.entries({ ...stages, everything }))('have nothing to say against %s', (_stage, config) => {
    const { app } = checked(config);
    expect(findings(app)).toEqual([]);
    // Nothing is asked of AWS.
    expect(app.synth().manifest.missing).toBeUndefined();
  });

  it('refuse what nobody has given a reason for, and what CloudFormation would refuse', () => {
    const { app, stack } = checked({ prefix: 'sluice' });
    new Bucket(stack, 'Careless');
    new CfnPolicy(stack, 'Wide', {
      policyName: 'wide',
      policyDocument: { Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }] },
      roles: ['somebody'],
    });
    new CfnQueue(stack, 'Wrong').addPropertyOverride('MessageRetentionPeriod', 'a fortnight');
    const found = findings(app);
    expect(found).toEqual(
      expect.arrayContaining(['AwsSolutions-S1', 'AwsSolutions-S10', 'AwsSolutions-IAM5[Action::s3:*]']),
    );
    // What CloudFormation would say: not of type 'integer'.
    expect(found).toContain('F3012');
  });
});

describe('the acknowledgements', () => {
  const { stack } = checked(everything);
  const reasons = stack.node
    .findAll()
    .flatMap((construct) =>
      acknowledged(construct).map(([id, reason]) => ({ where: construct.node.path, id, reason })),
    );

  it('are there', () => {
    expect(reasons.length).toBeGreaterThan(20);
  });

  it.each(reasons)('$where: $id has a reason', ({ reason }) => {
    expect(reason).toMatch(/^[A-Z][^\n]{25,}[.a-z]$/);
  });

  it('are each for one construct, and none for the whole stack', () => {
    expect(acknowledged(stack)).toEqual([]);
    expect(reasons.filter(({ where }) => where.split('/').length < 2)).toEqual([]);
  });
});

function acknowledged(construct: IConstruct): readonly (readonly [string, string])[] {
  return construct.node.metadata
    .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
    .flatMap(({ data }) => Object.entries(data as Record<string, string>));
}
