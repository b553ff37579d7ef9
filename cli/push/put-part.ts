import { NotReachable } from '../failures.ts';
import { networkFailure } from '../network.ts';
import { timeoutSeconds, type Destination } from './destination.ts';
import { httpPut } from './http-put.ts';

/** A part of an object, and by what it may be put into the storage without a token. */
export type Part = {
  readonly number: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
};

/**
 * Puts one part, a few times where the network or the storage fails. Throws `NotReachable` when it was not taken: its
 * URL may have expired, so the server is to be asked again. It carries no token, and a redirect is not followed.
 */
export async function putPart(
  part: Part,
  bytes: Buffer,
  { to, signal }: { to: Destination; signal: AbortSignal },
): Promise<void> {
  for (let tries = 1; ; tries++) {
    const attempt = await tryOnce(part, bytes, signal);
    if (attempt === 'taken') return;
    if (tries === mostTries || !attempt.again) throw attempt.failure;
    to.progress.waiting();
    await to.world.pause(attempt.afterMs ?? 500 * 2 ** (tries - 1), signal);
  }
}

const mostTries = 4;
const longestPauseSeconds = 30;

type Attempt = 'taken' | { readonly failure: NotReachable; readonly again: boolean; readonly afterMs?: number };

async function tryOnce({ url, headers, number }: Part, bytes: Buffer, signal: AbortSignal): Promise<Attempt> {
  const place = URL.canParse(url) ? new URL(url).origin : 'the storage';
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutSeconds * 1000)]);
  try {
    const { status, retryAfter, text } = await httpPut({ url, headers, bytes, signal: limit });
    if (status >= 200 && status < 300) return 'taken';
    const failure = new NotReachable(`${place} answered ${status} to part ${number}${reasonIn(text)}.`);
    const seconds = Number(retryAfter ?? Number.NaN);
    const afterMs = seconds > 0 ? { afterMs: Math.min(seconds, longestPauseSeconds) * 1000 } : {};
    return { failure, again: isPassing(status), ...afterMs };
  } catch (error) {
    signal.throwIfAborted();
    // Never with the URL itself: whoever has it may write.
    return { failure: networkFailure(error, place, `the server's answer`).failure, again: true };
  }
}

function isPassing(status: number): boolean {
  return status >= 500 || status === 408 || status === 429;
}

/** S3 says it in XML, Sluice in JSON. */
function reasonIn(said: string): string {
  const reason = /<Message>([^<]{1,200})/.exec(said)?.[1] ?? /"message":"([^"\\]{1,200})/.exec(said)?.[1];
  return reason === undefined ? '' : `: ${reason.replace(/\.$/, '')}`;
}
