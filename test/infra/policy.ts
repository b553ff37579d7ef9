import { flat, listOf, type Resource, type Statement } from './stand-in.ts';

/** What IAM would say of a call, as far as our policies go: allows only, wildcards, and the conditions that we use. */
export type Call = {
  readonly action: string;
  readonly resource: string;
  readonly context?: Readonly<Record<string, string>>;
};

/** Whether one of a role's statements allows the call. Throws for a condition that it does not know. */
export function allows(statements: readonly Statement[], { action, resource, context = {} }: Call): boolean {
  return statements.some(
    (statement) =>
      statement.Effect === 'Allow' &&
      listOf(statement.Action).some((pattern) => matches(pattern, action)) &&
      listOf(statement.Resource).some((pattern) => matches(flat(pattern), resource)) &&
      Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
        Object.entries(keys).every(([key, wanted]) => holds(operator, wanted, context[key])),
      ),
  );
}

export function matches(pattern: string, text: string): boolean {
  const expression = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${expression}$`, 's').test(text);
}

function holds(operator: string, wanted: unknown, given: string | undefined): boolean {
  if (operator === 'Null') return String(given === undefined) === wanted;
  if (operator === 'Bool' || operator === 'StringEquals')
    return given !== undefined && listOf(wanted).map(flat).includes(given);
  if (operator === 'ArnLike') return given !== undefined && listOf(wanted).some((one) => matches(flat(one), given));
  throw new Error(`No test knows the condition ${operator}`);
}

export function trustOf(role: Resource): Statement & { readonly Principal: { readonly Service: string } } {
  const document = role.Properties['AssumeRolePolicyDocument'] as { Statement: readonly never[] };
  const [statement] = document.Statement;
  if (statement === undefined || document.Statement.length !== 1) throw new Error('A role is trusted by one statement');
  return statement;
}
