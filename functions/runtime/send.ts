import { request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { OutgoingRequest, Ports } from '../ports/ports.ts';
import { Problem, messageOf } from './errors.ts';
import { addressesOf, answering } from './public-host.ts';
import { TimeLimitPassed, withinTime } from './time-limit.ts';

/** An answer's status counts; of what comes with it this much is read, so that the other side is not cut off at once. */
const mostAnswerBytes = 64 * 1024;
const mostAnswerMs = 1000;

/**
 * Sends what an app's owner asked for to a URL that they named, and so perhaps a stranger: the host is resolved once and
 * that very address connected to; unless they are allowed, hosts that are not on the public internet are refused. A
 * certificate must be good for its name, no redirect is followed, and all of it ends in time.
 * Throws `Problem('invalid')` for what is refused and `Problem('busy')` when no answer comes; neither shows more of the
 * URL than its origin, as the rest may be a secret.
 */
export function sender(options: { readonly allowPrivateHosts: boolean }): Ports['send'] {
  return async (outgoing) => {
    const url = checkedUrl(outgoing.url);
    const cut = new AbortController();
    try {
      const posting = post(url, outgoing, { ...options, signal: cut.signal });
      const response = await withinTime(outgoing.timeoutSeconds * 1000, posting);
      // The status is known, so nothing that happens after it is a failure.
      await withinTime(mostAnswerMs, readSome(response)).catch(() => undefined);
      return { status: response.statusCode ?? 0 };
    } catch (cause) {
      throw refusalOf(url, outgoing, cause);
    } finally {
      cut.abort();
    }
  };
}

function checkedUrl(text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new Problem('invalid', 'expected an http or https URL');
  }
  if (url.username !== '' || url.password !== '') {
    throw new Problem('invalid', 'expected a URL without a user name and password');
  }
  return url;
}

type Posting = { readonly allowPrivateHosts: boolean; readonly signal: AbortSignal };

async function post(url: URL, outgoing: OutgoingRequest, { signal, ...options }: Posting): Promise<IncomingMessage> {
  const addresses = await addressesOf(url.hostname, options);
  const body = Buffer.from(outgoing.body);
  return await answerTo(url, body, {
    method: 'POST',
    // A connection of its own: one that is kept open would lead where the name led before.
    agent: false,
    lookup: answering(addresses),
    headers: { 'user-agent': 'sluice', ...outgoing.headers, 'content-length': body.byteLength },
    signal,
  });
}

async function answerTo(url: URL, body: Buffer, options: RequestOptions): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  return await new Promise((resolve, reject) => {
    const sent = request(url, options, resolve);
    sent.on('error', reject);
    // One that changes the protocol gives no answer, and no error either.
    sent.on('close', () => reject(new Error('the connection was closed')));
    sent.end(body);
  });
}

async function readSome(response: IncomingMessage): Promise<void> {
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > mostAnswerBytes) break;
  }
}

function refusalOf(url: URL, { timeoutSeconds }: OutgoingRequest, cause: unknown): Problem {
  if (cause instanceof Problem) return cause;
  if (cause instanceof TimeLimitPassed) {
    return new Problem('busy', `${url.origin} does not answer within ${timeoutSeconds} s`, { cause });
  }
  return new Problem('busy', `${url.origin} cannot be reached: ${reasonOf(cause)}`, { cause });
}

/** When several addresses were tried, what each said is in the errors within. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return messageOf(error);
}
