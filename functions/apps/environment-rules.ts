import type { Issue } from '../runtime/errors.ts';
import { fieldPath } from '../runtime/parse.ts';
import type { App, Environment, Target } from './schema.ts';

/** The rules between an app's environments, and within each. */
export function environmentIssues(app: App): readonly Issue[] {
  const { environments } = app;
  return [
    ...repeated(
      environments.map(({ name }, at) => ({ value: name, path: ['environments', at, 'name'] })),
      'a name that no other environment has',
    ),
    ...environments.flatMap((environment, at) => [
      ...parentIssues(environments, environment).map((issue) => within(at, issue)),
      ...triggerIssues(app, environment).map((issue) => within(at, issue)),
      ...environment.targets.flatMap((target, index) =>
        capacityIssues(environment, target, index).map((issue) => within(at, issue)),
      ),
      ...targetNameIssues(environment, at),
      ...buildIssues(environment, at),
    ]),
    ...placeIssues(environments),
  ];
}

function parentIssues(environments: readonly Environment[], { name, parent }: Environment): readonly Issue[] {
  if (parent === undefined) return [];
  const others = environments.map((other) => other.name).filter((other) => other !== name);
  if (!others.includes(parent)) {
    const expected = others.length > 0 ? `another environment of the app: ${others.join(', ')}` : 'another environment';
    return [{ field: 'parent', expected }];
  }
  return hasCycle(environments, name) ? [{ field: 'parent', expected: 'a parent that does not descend from it' }] : [];
}

/** Whether the way up from an environment comes back to it. */
function hasCycle(environments: readonly Environment[], name: string): boolean {
  const parents = new Map(environments.map((environment) => [environment.name, environment.parent]));
  let at = parents.get(name);
  for (let steps = 0; at !== undefined && steps < environments.length; steps++) {
    if (at === name) return true;
    at = parents.get(at);
  }
  return false;
}

/** An environment takes pushes or promotions: with both, what came from its parent would be overtaken unseen. */
function triggerIssues({ source }: App, environment: Environment): readonly Issue[] {
  const expected = environment.parent
    ? `none, as it takes what ${environment.parent} has run`
    : source
      ? undefined
      : 'none, as the app has no source';
  if (expected === undefined) return [];
  return (['branch', 'tag'] as const)
    .filter((field) => environment[field] !== undefined)
    .map((field) => ({ field, expected }));
}

/**
 * A rollout moves by starting a task more than wanted or stopping one before; where neither is allowed it never ends.
 * Rounded as ECS does: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service_definition_parameters.html
 */
function capacityIssues({ rollout }: Environment, { desiredCount }: Target, index: number): readonly Issue[] {
  const least = Math.ceil((desiredCount * rollout.minimumHealthyPercent) / 100);
  const most = Math.floor((desiredCount * rollout.maximumPercent) / 100);
  if (desiredCount === 0 || most > least) return [];
  const enough = Math.ceil((100 * (desiredCount + 1)) / desiredCount);
  const expected = `at least ${enough}, or a smaller minimumHealthyPercent: targets[${index}] could not start a new task`;
  return [{ field: 'rollout.maximumPercent', expected }];
}

function targetNameIssues({ targets }: Environment, at: number): readonly Issue[] {
  return repeated(
    targets.map(({ name }, index) => ({ value: name, path: ['environments', at, 'targets', index, 'name'] })),
    'a name that no other target of the environment has',
  );
}

/** What belongs to builds by upload: they come into an environment without a parent, and only there are checked. */
function buildIssues({ parent, promotion, checks = [], hooks = [] }: Environment, at: number): readonly Issue[] {
  const names = (list: 'checks' | 'hooks', of: readonly { readonly name: string }[]) =>
    repeated(
      of.map(({ name }, index) => ({ value: name, path: ['environments', at, list, index, 'name'] })),
      `a name that none of the other ${list} has`,
    );
  const without = checks.flatMap(({ command, image }, index) =>
    command === undefined && image === undefined
      ? [{ field: fieldPath(['environments', at, 'checks', index]), expected: 'a command, an image, or both' }]
      : [],
  );
  const field = (name: string) => fieldPath(['environments', at, name]);
  return [
    ...names('checks', checks),
    ...names('hooks', hooks),
    ...without,
    ...(parent === undefined && promotion !== undefined
      ? [{ field: field('promotion'), expected: 'none, as the environment has no parent' }]
      : []),
    ...(parent !== undefined && checks.length > 0
      ? [{ field: field('checks'), expected: `none, as what ${parent} has run was checked before` }]
      : []),
  ];
}

/** Ports and host names lead to one target and one environment. */
function placeIssues(environments: readonly Environment[]): readonly Issue[] {
  const ports = environments.flatMap(({ targets }, at) =>
    targets.flatMap(({ listenPort }, index) =>
      listenPort === undefined
        ? []
        : [{ value: String(listenPort), path: ['environments', at, 'targets', index, 'listenPort'] }],
    ),
  );
  const domains = environments.flatMap(({ domains }, at) =>
    domains.map((value, index) => ({ value, path: ['environments', at, 'domains', index] })),
  );
  return [
    ...repeated(ports, 'a port that no other target of the app has'),
    ...repeated(domains, 'a host name that stands once in the app'),
  ];
}

type Place = { readonly value: string; readonly path: readonly (string | number)[] };

/** An issue for every place whose value stands in an earlier one. */
function repeated(places: readonly Place[], expected: string): readonly Issue[] {
  const first = new Map<string, Place>();
  for (const place of places) if (!first.has(place.value)) first.set(place.value, place);
  return places
    .filter((place) => first.get(place.value) !== place)
    .map(({ path }) => ({ field: fieldPath(path), expected }));
}

function within(at: number, { field, expected }: Issue): Issue {
  return { field: `${fieldPath(['environments', at])}.${field}`, expected };
}
