import { Problem } from '../runtime/errors.ts';

/**
 * How long every AWS client waits and how often it repeats, set on purpose: a call that is silent is given up and
 * repeated, the SDK waits longer before each repetition and knows what may be repeated. With 5 attempts a quick call
 * ends within about 15 s, half of what API Gateway grants.
 * `throwOnRequestTimeout`: without it the SDK only warns of a call that takes too long.
 */
export const quickCalls = {
  maxAttempts: 5,
  retryMode: 'standard',
  requestHandler: { connectionTimeout: 1000, requestTimeout: 2000, throwOnRequestTimeout: true },
} as const;

/** For services that take seconds over an answer (ECS, CodeBuild, Step Functions, image registries). */
export const slowCalls = {
  maxAttempts: 5,
  retryMode: 'standard',
  requestHandler: { connectionTimeout: 1000, requestTimeout: 5000, throwOnRequestTimeout: true },
} as const;

/**
 * For S3, whose calls carry up to 8 MiB or copy up to 1 GiB: the limit is for the whole call, its body included, and
 * for each silence while an answer's body comes. Checksums are ours to give: left to itself the SDK adds the CRC32 of
 * no bytes to every URL it signs for an upload (https://github.com/seaweedfs/seaweedfs/issues/10216).
 */
export const transferCalls = {
  maxAttempts: 5,
  retryMode: 'standard',
  requestHandler: {
    connectionTimeout: 1000,
    requestTimeout: 60_000,
    throwOnRequestTimeout: true,
    socketTimeout: 60_000,
  },
  requestChecksumCalculation: 'WHEN_REQUIRED',
  responseChecksumValidation: 'WHEN_REQUIRED',
} as const;

const unanswered = new Set([
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'RequestThrottled',
  'RequestThrottledException',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'ProvisionedThroughputExceededException',
  'SlowDown',
  'TimeoutError',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

type Failure = {
  readonly name?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
};

/** Whether the service throttled, failed or stayed silent, repetitions included: what was asked may or may not be done. */
export function isUnanswered(error: unknown): boolean {
  const { name, code, $metadata } = error as Failure;
  return unanswered.has(name ?? '') || unanswered.has(code ?? '') || ($metadata?.httpStatusCode ?? 0) >= 500;
}

/** Whether it is the service's exception of one of these names. */
export function isNamed(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name);
}

/**
 * A call's answer; a service that throttles or does not answer, repetitions included, is `Problem('busy')`: the caller
 * looks again before it tries again. Every other exception passes as it is. `what` is told to people: `The fleet`.
 */
export async function answered<Output>(what: string, call: Promise<Output>): Promise<Output> {
  try {
    return await call;
  } catch (cause) {
    if (isUnanswered(cause)) throw new Problem('busy', `${what} does not answer right now; try again`, { cause });
    throw cause;
  }
}
