import type { ProblemView } from '../functions/api/shapes.ts';

/** The person asked for something that cannot be: exit code 2. */
export class WrongUse extends Error {
  override readonly name = 'WrongUse';
  readonly hint: string | undefined;

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
  }
}

/** There was no answer that could be used: exit code 3. */
export class NotReachable extends Error {
  override readonly name = 'NotReachable';
  readonly hint: string | undefined;
  /** Whether what was asked for may have been done all the same: the request was sent, and its answer is missing. */
  readonly mayBeDone: boolean;

  constructor(message: string, options: { hint?: string; cause?: unknown; mayBeDone?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
    this.mayBeDone = options.mayBeDone ?? false;
  }
}

/** The API answered that it would not: exit code 2. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly problem: ProblemView;
  readonly hint: string | undefined;

  constructor(problem: ProblemView, hint?: string) {
    super(problem.message);
    this.problem = problem;
    this.hint = hint;
  }
}

/** Ctrl-C: exit code 130. The hint says how to go on. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly hint: string | undefined;

  constructor(message: string, options: { hint?: string } = {}) {
    super(message);
    this.hint = options.hint;
  }
}
