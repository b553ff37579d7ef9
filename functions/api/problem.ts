import { Problem, problemKinds, type Issue, type States } from '../runtime/errors.ts';
import type { ProblemView } from './shapes.ts';

/** What an HTTP answer says of an error: RFC 9457, and beside it what flat-manager's clients read. */
export type ProblemAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ProblemView;
};

const titles: Readonly<Record<number, string>> = {
  400: 'The request is not valid',
  401: 'A valid token is needed',
  403: 'The token does not allow this',
  404: 'Not found',
  405: 'Method not allowed',
  408: 'The request took too long',
  409: 'Conflict with what is there',
  413: 'The request is too large',
  415: 'Content type not supported',
  422: 'Not supported here',
  429: 'Too many requests',
  431: 'The request header is too large',
  500: 'Internal error',
  503: 'Not available now',
};

/**
 * The one place where an error becomes an answer: a `Problem` speaks for itself, all else shows the request's id only.
 * `protocol`: on a route of flat-manager's, whose clients know 400 `generic-error`, and wait and try again at 503 alone.
 */
export function problemAnswer(error: unknown, requestId: string, protocol = false): ProblemAnswer {
  if (!(error instanceof Problem)) {
    const detail = `Something went wrong here. The request id ${requestId} finds it in the log.`;
    return answer({ status: 500, errorType: 'internal-error', detail, requestId });
  }
  const { status, errorType } = (protocol ? protocolKinds[error.kind] : undefined) ?? problemKinds[error.kind];
  const { message: detail, issues, states, retryAfterSeconds } = error;
  return answer({
    status,
    errorType,
    detail,
    requestId,
    issues,
    ...(states ? { states } : {}),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}

const generic = { status: 400, errorType: 'generic-error' } as const;
const protocolKinds: Partial<Record<Problem['kind'], { readonly status: number; readonly errorType: string }>> = {
  invalid: generic,
  conflict: generic,
  'unsupported-media-type': generic,
  'too-many-requests': { status: 503, errorType: 'too-many-requests' },
};

/** Whether a path is of flat-manager's protocol, or stands beside it. */
export function isProtocolPath(path: string): boolean {
  return /\/api\/v1\/(?:build|job|token_subset|tokens|repo|prune)(?:\/|$)/.test(path);
}

type ProblemFacts = {
  readonly status: number;
  readonly errorType: string;
  readonly detail: string;
  readonly requestId: string;
  readonly issues?: readonly Issue[];
  readonly states?: States;
  readonly retryAfterSeconds?: number;
};

/** A problem of the transport itself, which has no error behind it. */
export function answer(facts: ProblemFacts): ProblemAnswer {
  const { status, errorType, detail, requestId, issues = [], states, retryAfterSeconds } = facts;
  const body: ProblemView = {
    type: `urn:sluice:problem:${errorType}`,
    title: titles[status] ?? 'Error',
    status,
    detail,
    'error-type': errorType,
    message: detail,
    requestId,
    ...(issues.length > 0 ? { issues: [...issues] } : {}),
    ...(states ? { 'current-state': states.current, 'expected-state': states.expected } : {}),
  };
  return {
    status,
    headers: { 'content-type': 'application/problem+json', ...headersOf(status, retryAfterSeconds) },
    body,
  };
}

/** RFC 9110 wants them: 401 names the scheme (section 11.6.1), and a client told to wait should know how long. */
function headersOf(status: number, retryAfterSeconds?: number): Record<string, string> {
  if (status === 401) return { 'www-authenticate': 'Bearer realm="sluice"' };
  if (status === 429) return { 'retry-after': String(retryAfterSeconds ?? 60) };
  if (status === 503) return { 'retry-after': String(retryAfterSeconds ?? 1) };
  return {};
}

export function problemResponse(answer: ProblemAnswer): Response {
  return new Response(JSON.stringify(answer.body), { status: answer.status, headers: answer.headers });
}
