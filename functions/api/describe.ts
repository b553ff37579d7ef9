import { describeRoute, resolver } from 'hono-openapi';
import * as v from 'valibot';
import { problemKinds, type ProblemKind } from '../runtime/errors.ts';
import { problemShape } from './shapes.ts';

type Schema = v.GenericSchema<unknown, unknown>;

/** A schema that stands under a name of its own in the OpenAPI document. */
export function named<const S extends Schema>(name: string, schema: S, examples: readonly v.InferInput<S>[] = []) {
  return v.pipe(schema, v.metadata({ ref: name, ...(examples.length > 0 ? { examples } : {}) }));
}

const problem = named('Problem', problemShape, [
  {
    type: 'urn:sluice:problem:not-found',
    title: 'Not found',
    status: 404,
    detail: 'There is no app web',
    'error-type': 'not-found',
    message: 'There is no app web',
    requestId: '019a9f3e-4b7c-7d11-9a53-3a5e0d6c2b10',
  },
]);

export type Answer =
  /** What it is, the schema of it, and its media type where that is not JSON. */
  | readonly [description: string, schema: Schema, media?: string]
  /** An answer without a body. */
  | string;

export type RouteDescription = {
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Besides what every route behind the token may answer. */
  readonly problems?: readonly ProblemKind[];
  /** Whether it is open to anybody. */
  readonly open?: boolean;
};

/** What a route is called, answers and refuses, for the OpenAPI document; its input is told by the route's schemas. */
export function describe(route: RouteDescription) {
  const problems = route.open ? (route.problems ?? []) : [...everywhere, ...(route.problems ?? [])];
  return describeRoute({
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    ...(route.open ? { security: [] } : {}),
    responses: {
      ...Object.fromEntries(Object.entries(route.answers).map(([status, answer]) => [status, described(answer)])),
      ...Object.fromEntries(problems.map((kind) => [problemKinds[kind].status, problemResponse(kind)])),
      default: described(['An error of another kind.', problem, problemMedia]),
    },
  });
}

const problemMedia = 'application/problem+json';
const everywhere: readonly ProblemKind[] = ['invalid', 'unauthorized', 'forbidden', 'too-many-requests'];

const meanings: Readonly<Record<ProblemKind, string>> = {
  invalid: 'The request is wrong; `issues` names every wrong field and what was expected there.',
  unauthorized: 'No token, or not a good one.',
  forbidden: 'The token does not allow this.',
  'not-found': 'There is no such thing.',
  'method-not-allowed': 'The path knows other methods; `Allow` names them.',
  conflict: 'What is there stands against it.',
  'wrong-repo-state': 'The build is not in the state that this needs; `current-state` and `expected-state` say which.',
  'wrong-published-state': 'The build was published before, or that failed.',
  'too-large': 'The body is too large.',
  'unsupported-media-type': 'The body is not JSON.',
  unsupported: 'This control plane cannot do that.',
  'too-many-requests': 'Too many requests were made with this token, or too many wrong tokens came from this address.',
  busy: 'Not now; try again.',
};

function problemResponse(kind: ProblemKind) {
  return described([meanings[kind], problem, problemMedia]);
}

function described(answer: Answer) {
  if (typeof answer === 'string') return { description: answer };
  const [description, schema, media = 'application/json'] = answer;
  return { description, content: { [media]: { schema: resolver(schema, { options: { typeMode: 'output' } }) } } };
}
