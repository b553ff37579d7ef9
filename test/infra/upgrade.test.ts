import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { buildKinds, buildProjectName, buildRoleName, buildRolePath } from '../../functions/runtime/aws-names.ts';
import type { WorkflowPorts } from '../../functions/ports/ports.ts';
import { runStep } from '../../functions/workflow/steps.ts';
import { ControlPlaneStack } from '../../infra/control-plane-stack.ts';
import { definitionIssues, type Template as Json } from '../../infra/definition-issues.ts';
import released from './released-calls.json' with { type: 'json' };
import { code, flat, outFolder, resourceOf, resourcesOf, templateOf } from './stand-in.ts';

const template = templateOf();
type Machine = {
  readonly DefinitionString: string;
  readonly DefinitionSubstitutions: Readonly<Record<string, unknown>>;
  readonly [name: string]: unknown;
};
const machineOf = (made: Template, start: string) =>
  resourceOf(made, 'AWS::StepFunctions::StateMachine', start).Properties as Machine;
const machine = machineOf(template, 'Deploy');
const jobs = machineOf(template, 'Jobs');

type State = {
  readonly Parameters?: { readonly Payload?: Readonly<Record<string, unknown>> };
  readonly ResultSelector?: Readonly<Record<string, string>>;
  readonly ItemProcessor?: { readonly States: Readonly<Record<string, State>> };
};

/** What a definition asks of the workflow function: a step, what it is given, and what is read of its answer. */
function callsOf(states: Readonly<Record<string, State>>): readonly string[] {
  return Object.values(states).flatMap(({ Parameters, ResultSelector = {}, ItemProcessor }) => {
    const { step, ...payload } = (Parameters?.Payload ?? {}) as { readonly step?: string };
    const given = Object.keys(payload).map((name) => name.replace(/\.\$$/, ''));
    const read = Object.values(ResultSelector).map((path) => path.replace('$.Payload.', ''));
    const call =
      step === undefined ? [] : [`${step}(${given.sort().join(', ')}) gives ${read.sort().join(', ') || 'nothing'}`];
    return [...call, ...(ItemProcessor ? callsOf(ItemProcessor.States) : [])];
  });
}

describe('the state machine', () => {
  it('is valid with what stands for its substitutions', () => {
    expect(definitionIssues(template.toJSON() as Json)).toEqual([]);
  });

  it('would be refused with a substitution missing, or a state that is not there', () => {
    const wrong = (change: (definition: string) => string, substitutions = machine.DefinitionSubstitutions) => {
      const Properties = { DefinitionString: change(machine.DefinitionString), DefinitionSubstitutions: substitutions };
      return definitionIssues({ Resources: { one: { Type: 'AWS::StepFunctions::StateMachine', Properties } } });
    };
    const { BuildRolePrefix: _, ...fewer } = machine.DefinitionSubstitutions;
    expect(wrong((text) => text, fewer)).toContain('nothing stands for ${BuildRolePrefix}');
    expect(wrong((text) => text.replace('"Next":"Resolve"', '"Next":"Elsewhere"')).join()).toMatch(/Elsewhere|Missing/);
  });

  it('names the projects and roles that builds have, and the function by its alias', () => {
    const { WorkflowFunction, BuildProjectPrefix, BuildRolePrefix } = machine.DefinitionSubstitutions;
    expect(flat(WorkflowFunction)).toMatch(/:function:sluice-workflow:live$/);
    for (const kind of buildKinds) expect(`${flat(BuildProjectPrefix)}-${kind}`).toBe(buildProjectName('sluice', kind));
    expect(`${flat(BuildRolePrefix)}web`).toBe(
      `arn:<AWS::Partition>:iam::<AWS::AccountId>:role${buildRolePath('sluice')}${buildRoleName('sluice', 'web')}`,
    );
  });

  it.each([
    ['sluice-deploy', machine],
    ['sluice-jobs', jobs],
  ])('%s is Standard, traced, and logged without what its states say, which holds task tokens', (name, made) => {
    expect(made).toMatchObject({
      StateMachineName: name,
      StateMachineType: 'STANDARD',
      TracingConfiguration: { Enabled: true },
      LoggingConfiguration: { Level: 'ALL', IncludeExecutionData: false },
    });
  });

  it('of jobs runs the same function, and builds in the same projects as the same roles', () => {
    expect(jobs.DefinitionSubstitutions).toEqual(machine.DefinitionSubstitutions);
    expect(jobs.DefinitionString).not.toBe(machine.DefinitionString);
  });
});

describe('an upgrade', () => {
  const { functions, ...rest } = code;
  const other = outFolder();
  for (const name of ['api', 'workflow', 'events', 'reconcile']) {
    writeFileSync(join(other, `${name}.mjs`), 'export const handler = () => 2;\n');
  }
  const upgraded = Template.fromStack(
    new ControlPlaneStack(new App({ outdir: outFolder() }), 'control', {
      config: { prefix: 'sluice' },
      code: { ...rest, functions: other },
    }),
  );
  const ids = (made: Template, type: string) => resourcesOf(made, type).map(([id]) => id);

  it('turns every alias to a new version, code and settings at once', () => {
    expect(functions).not.toBe(other);
    const versions = ids(upgraded, 'AWS::Lambda::Version');
    expect(versions.filter((id) => ids(template, 'AWS::Lambda::Version').includes(id))).toEqual([]);
    expect(ids(upgraded, 'AWS::Lambda::Alias')).toEqual(ids(template, 'AWS::Lambda::Alias'));
  });

  it('leaves the definitions as they are, so that whoever runs by an old one and by the new call the same alias', () => {
    expect(machineOf(upgraded, 'Deploy')).toEqual(machine);
    expect(machineOf(upgraded, 'Jobs')).toEqual(jobs);
    expect(JSON.stringify([machine, jobs])).not.toMatch(/CurrentVersion/);
  });

  it.each(['Deploy', 'Jobs'])('turns the alias before the definition of %s asks it for what is new', (start) => {
    const { DependsOn = [] } = resourceOf(template, 'AWS::StepFunctions::StateMachine', start);
    const [alias = ''] = ids(template, 'AWS::Lambda::Alias').filter((id) => id.startsWith('FunctionsWorkflow'));
    expect(DependsOn).toContain(alias);
  });

  /** CloudFormation replaces what has another id, and a kept table or bucket would be left behind with everything in it. */
  it('never makes the table, the bucket, a state machine or the API anew', () => {
    const lasting = ['DynamoDB::Table', 'S3::Bucket', 'StepFunctions::StateMachine', 'ApiGatewayV2::Api'];
    expect(lasting.flatMap((type) => ids(template, `AWS::${type}`))).toEqual([
      'Records091F6ECA',
      'Artifacts82DD59A1',
      'Deploy7B206E61',
      'JobsDF1CC2D4',
      'ApiHttp17514DA7',
    ]);
  });

  /**
   * An execution keeps the definition it began with, and its steps are run by the newest code:
   * https://docs.aws.amazon.com/step-functions/latest/apireference/API_UpdateStateMachine.html
   * So a call, once released, stays. It may be taken out of the list one release after no definition makes it, when the
   * last execution that may make it has ended.
   */
  it('still answers every call of the definitions before', async () => {
    for (const call of released) {
      const step = call.slice(0, call.indexOf('('));
      await expect(runStep({} as WorkflowPorts, { step }), call).rejects.not.toThrow(/step that does not exist/);
    }
    await expect(runStep({} as WorkflowPorts, { step: 'gone' })).rejects.toThrow(/step that does not exist/);
  });

  it('writes down every call of the definitions, for the upgrades to come', () => {
    const statesOf = ({ DefinitionString }: Machine) =>
      (JSON.parse(DefinitionString) as { States: Readonly<Record<string, State>> }).States;
    const calls = [...new Set([machine, jobs].flatMap((one) => callsOf(statesOf(one))))];
    expect(calls.length).toBeGreaterThan(12);
    expect(calls.filter((call) => !released.includes(call))).toEqual([]);
  });
});
