import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
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
import { synthesize } from '../../scripts/synth.ts';
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
  it('have nothing to say against a stack with every option', () => {
    const { app } = checked(everything);
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

describe('npm run synth', async () => {
  const outDir = outFolder();
  writeFileSync(join(outDir, 'validation-report.json'), '{}');
  const written = await synthesize({ outDir, code });
  const read = (path: string) => JSON.parse(readFileSync(join(outDir, path), 'utf8')) as object;

  it('writes the templates of every stage, with an example of what an app needs', () => {
    expect(written.map((path) => relative(outDir, path)).sort()).toEqual([
      'production/sluice-control-plane.template.json',
      'production/sluice-example.template.json',
      'staging/sluice-staging-control-plane.template.json',
      'staging/sluice-staging-example.template.json',
    ]);
  });

  it('leaves nothing of the time before, which would be read as its own', () => {
    expect(existsSync(join(outDir, 'validation-report.json'))).toBe(false);
  });

  it.each(Object.entries(stages))('writes that of %s as it was reviewed', async (stage, { prefix }) => {
    const template = steady(read(`${stage}/${prefix}-control-plane.template.json`));
    expect(template).not.toMatch(/[0-9a-f]{32}/);
    await expect(template).toMatchFileSnapshot(`snapshots/${stage}.json`);
  });
});

/**
 * A template as it is to be read in a review: `npx vitest run test/infra/checks.test.ts -u` writes it anew. Digests of
 * code are left out, and so are the definition and the buildspecs, which stand in files of their own.
 */
function steady(template: object): string {
  const elsewhere = new Set(['DefinitionString', 'BuildSpec']);
  const json = JSON.stringify(template, (name, value: unknown) => (elsewhere.has(name) ? '(its own file)' : value), 2);
  return `${json
    .replaceAll(/[0-9a-f]{64}\.(zip|json)/g, '(digest).$1')
    .replaceAll(/(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}/g, '$1')}\n`;
}

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
