import aslValidator from 'asl-validator';

// A CommonJS module that says it is none: by Node its function is one step further down.
const validate = (aslValidator as unknown as { readonly default?: typeof aslValidator }).default ?? aslValidator;

export type Template = {
  readonly Resources: Readonly<
    Record<string, { readonly Type: string; readonly Properties?: Readonly<Record<string, unknown>> }>
  >;
};

/** What is wrong with the template's state machines, with what is to stand for each `${…}` in its place. */
export function definitionIssues(template: Template): readonly string[] {
  const machines = Object.values(template.Resources).filter(({ Type }) => Type === 'AWS::StepFunctions::StateMachine');
  return machines.flatMap(({ Properties = {} }) => {
    const { DefinitionString, DefinitionSubstitutions = {} } = Properties as {
      readonly DefinitionString: string;
      readonly DefinitionSubstitutions?: Readonly<Record<string, unknown>>;
    };
    const text = substituted(DefinitionString, DefinitionSubstitutions);
    const left = text.match(/\$\{\w+\}/g) ?? [];
    const { errors } = validate(JSON.parse(text));
    return [
      ...left.map((name) => `nothing stands for ${name}`),
      ...errors.map((error) => (error instanceof Error ? error.message : JSON.stringify(error))),
    ];
  });
}

function substituted(definition: string, substitutions: Readonly<Record<string, unknown>>): string {
  return Object.entries(substitutions).reduce(
    (text, [name, value]) => text.replaceAll(`\${${name}}`, literal(value)),
    definition,
  );
}

/** A value of a template as text; what only a deployment knows gets a likely stand-in. */
function literal(value: unknown): string {
  if (typeof value === 'string') return value;
  const { Ref, 'Fn::Join': join } = value as { readonly Ref?: string; readonly 'Fn::Join'?: [string, unknown[]] };
  if (join) return join[1].map(literal).join(join[0]);
  return standIns[Ref ?? ''] ?? 'unknown';
}
const standIns: Readonly<Record<string, string>> = {
  'AWS::Partition': 'aws',
  'AWS::Region': 'eu-central-1',
  'AWS::AccountId': '111111111111',
};
