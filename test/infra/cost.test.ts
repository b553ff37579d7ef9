import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { costTable, dollarsOf, freeWhileIdle, idleCost, prices, type Template } from '../../infra/cost.ts';
import { stages } from '../../infra/stages.ts';
import { templateOf } from './stand-in.ts';
import type { ControlPlaneConfig } from '../../infra/config.ts';

const asked: Partial<ControlPlaneConfig> = {
  domain: { name: 'sluice.example.com', hostedZone: { id: 'Z0ABC', name: 'example.com' } },
  alarmEmail: 'ops@example.com',
  builds: { vpc: { id: 'vpc-0a1b2c3d', subnetIds: ['subnet-0a1b2c3d'] } },
};
const json = (config: Partial<ControlPlaneConfig>) => templateOf(config).toJSON() as Template;
const section = () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/aws.md'), 'utf8');
  return /^## What it costs\n([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(text)?.[1] ?? '';
};

let template: Template;
// The first synthesis loads CDK, which takes long on a machine that is busy.
beforeAll(() => {
  template = json(stages.production);
}, 120_000);

const withResource = (resource: object): Template => ({ Resources: { ...template.Resources, New: resource as never } });

describe('an idle installation', () => {
  it.each([
    ['each stage', stages.production],
    ['staging', stages.staging],
    ['with all that can be asked for', asked],
  ])('costs less than $5 a month: %s', (_which, config) => {
    const dollars = dollarsOf(idleCost(json(config)));
    expect(dollars).toBeGreaterThan(3);
    expect(dollars).toBeLessThan(5);
  });

  it('costs what docs/aws.md says (npm run cost prints the table)', () => {
    expect(section()).toContain(costTable(idleCost(template)));
  });
});

describe('the count', () => {
  const count = (what: string, of: Template) => idleCost(of).find((line) => line.what.startsWith(what))?.count ?? 0;

  it('has every metric of an alarm, and not the sum that is made of them', () => {
    const one = { Type: 'AWS::CloudWatch::Alarm', Properties: { MetricName: 'x' } };
    const sum = {
      Type: 'AWS::CloudWatch::Alarm',
      Properties: { Metrics: [{ MetricStat: {} }, { MetricStat: {} }, { Expression: 'a + b' }] },
    };
    const before = count('Alarms', template);
    expect(count('Alarms', withResource(one))).toBe(before + 1);
    expect(count('Alarms', withResource(sum))).toBe(before + 2);
  });

  it('has a call of reconcile each minute, by the memory that it has, and its traces if it has them', () => {
    expect(count('Reconcile, calls', template)).toBe(43_200);
    const reconcile = Object.values(template.Resources).find(
      ({ Type, Properties }) => Type === 'AWS::Lambda::Function' && Properties?.['FunctionName'] === 'sluice-reconcile',
    );
    expect(count('Reconcile, 100 ms', template)).toBeCloseTo(
      (43_200 * Number(reconcile?.Properties?.['MemorySize'])) / 10_240,
    );
    const isTraced = JSON.stringify(reconcile).includes('"Active"');
    expect(count('Reconcile, traces', template)).toBe(isTraced ? 43_200 : 0);
  });

  it('grows with a second secret and a second dashboard', () => {
    const before = dollarsOf(idleCost(template));
    const after = (Type: string) => dollarsOf(idleCost(withResource({ Type }))) - before;
    expect(after('AWS::SecretsManager::Secret')).toBeCloseTo(0.4);
    expect(after('AWS::CloudWatch::Dashboard')).toBeCloseTo(3);
  });

  it.each([
    'AWS::EC2::NatGateway',
    'AWS::KMS::Key',
    'AWS::ElasticLoadBalancingV2::LoadBalancer',
    'AWS::EC2::VPCEndpoint',
  ])('is refused for a kind of which nobody has said what it costs: %s', (Type) => {
    expect(() => idleCost(withResource({ Type }))).toThrow(`New is of the kind ${Type}: infra/cost.ts does not say`);
  });

  it('is refused for a schedule that it cannot count', () => {
    const rule = { Type: 'AWS::Events::Rule', Properties: { ScheduleExpression: 'cron(0 * * * ? *)', Targets: [] } };
    expect(() => idleCost(withResource(rule))).toThrow('cannot count the calls of cron(0 * * * ? *)');
  });

  it('has a source at AWS for every price, and a reason for everything free', () => {
    for (const { source } of Object.values(prices))
      expect(source).toMatch(/^https:\/\/aws\.amazon\.com\/.+\/pricing\//);
    for (const reason of Object.values(freeWhileIdle)) expect(reason).not.toBe('');
  });
});
