import { findRequirement, type Requirement } from '../access/requirements.ts';

type Operation = { readonly description?: string };
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

/** The OpenAPI document, in which each operation says what the table of requirements asks of a token. */
export function withScopes<D extends { readonly paths?: unknown }>(document: D): D {
  const paths = Object.entries((document.paths ?? {}) as Paths).map(([path, operations]) => {
    const pattern = path.replaceAll(/\{(\w+)\}/g, ':$1');
    const told = Object.entries(operations).map(([method, operation]) => {
      const words = wordsOf(findRequirement(method.toUpperCase(), pattern));
      const description = [operation.description, words].filter((text) => text !== undefined).join(' ');
      return [method, description === '' ? operation : { ...operation, description }];
    });
    return [path, Object.fromEntries(told) as Paths[string]] as const;
  });
  return { ...document, paths: Object.fromEntries(paths) };
}

function wordsOf(requirement: Requirement | undefined): string | undefined {
  if (!requirement || requirement.scope === 'open') return undefined;
  if (requirement.scope === 'any') return 'Any token may ask.';
  const scopes = requirement.scope.map((scope) => `\`${scope}\``).join(' or ');
  const sub = requirement.sub({ app: '{app}', environment: '{environment}', id: '{id}' });
  const within = requirement.beneath ? ', or one beneath it' : '';
  const everywhere = requirement.everywhere ? ', for all environments' : '';
  return `Needs a token with the scope ${scopes} and ${sub === '' ? 'an empty sub' : `the sub \`${sub}\``}${within}${everywhere}.`;
}
