/** What a caller did wrong or met; each kind has one HTTP status and one `error-type`. */
export type ProblemKind = keyof typeof problemKinds;

export const problemKinds = {
  invalid: { status: 400, errorType: 'invalid-input' },
  unauthorized: { status: 401, errorType: 'invalid-token' },
  forbidden: { status: 403, errorType: 'token-insufficient' },
  'not-found': { status: 404, errorType: 'not-found' },
  'method-not-allowed': { status: 405, errorType: 'method-not-allowed' },
  conflict: { status: 409, errorType: 'conflict' },
  /** flat-manager's names for a build that is not in the state that a call needs; `states` says which. */
  'wrong-repo-state': { status: 400, errorType: 'wrong-repo-state' },
  'wrong-published-state': { status: 400, errorType: 'wrong-published-state' },
  'too-large': { status: 413, errorType: 'too-large' },
  'unsupported-media-type': { status: 415, errorType: 'unsupported-media-type' },
  unsupported: { status: 422, errorType: 'unsupported' },
  'too-many-requests': { status: 429, errorType: 'too-many-requests' },
  busy: { status: 503, errorType: 'busy' },
} as const;

/** One thing wrong with an input: the path of the field and what was expected; never the value, which may be a secret. */
export type Issue = { readonly field: string; readonly expected: string };

/**
 * An error whose message is meant for the caller. Everything else that is thrown is ours to mend
 * and shows a request id only.
 */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly kind: ProblemKind;
  readonly issues: readonly Issue[];
  readonly states: States | undefined;
  /** When it is worth trying again; undefined: as the status has it. */
  readonly retryAfterSeconds: number | undefined;

  constructor(kind: ProblemKind, message: string, options: ProblemOptions = {}) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.issues = options.issues ?? [];
    this.states = options.states;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** The state something is in, and the one it would have to be in. */
export type States = { readonly current: string; readonly expected: string };
export type ProblemOptions = {
  readonly issues?: readonly Issue[];
  readonly states?: States;
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
};

/** The names by which `deploy.asl.json` catches what ends a deployment. */
export type StepFailure =
  | 'BuildFailed'
  | 'GateFailed'
  | 'Cancelled'
  | 'Superseded'
  | 'ArtifactUnusable'
  | 'Interrupted';

/** Thrown by a workflow step to leave the straight way; its name is what the workflow's Catch matches. */
export class StepFailed extends Error {
  override readonly name: StepFailure;

  constructor(name: StepFailure, reason: string, options: { cause?: unknown } = {}) {
    super(reason, { cause: options.cause });
    this.name = name;
  }
}

/** The text of whatever was thrown, for a reason or a log line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
