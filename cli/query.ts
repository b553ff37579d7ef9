import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { World } from './world.ts';

export type QueryRequest = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer<ArrayBuffer>;
  readonly signal: AbortSignal;
};

/**
 * Sends requests of the method `QUERY`, a GET with a body. Where something on the way does not know that method (API
 * Gateway passes on only those it knows), it is a GET with a body from then on, which `fetch` refuses to send.
 * Follows no redirect.
 */
export function querySender(fetch: World['fetch']): (request: QueryRequest) => Promise<Response> {
  let isUnknown = false;
  return async (request) => {
    if (isUnknown) return await getWithBody(request);
    const { url, headers, body, signal } = request;
    const response = await fetch(url, { method: 'QUERY', headers, body, signal, redirect: 'manual' });
    isUnknown = await refusesMethod(response);
    return isUnknown ? await getWithBody(request) : response;
  };
}

/** Not by our API, whose refusals say of what kind they are. */
async function refusesMethod(response: Response): Promise<boolean> {
  if (![400, 403, 404, 405, 501].includes(response.status)) return false;
  return !(await response.clone().text()).includes('"error-type"');
}

async function getWithBody({ url, headers, body, signal }: QueryRequest): Promise<Response> {
  const request = new URL(url).protocol === 'https:' ? httpsRequest : httpRequest;
  const options = { method: 'GET', signal, headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) } };
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      request(url, options, resolve).on('error', reject).end(body);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(Buffer.from(chunk as Uint8Array));
    return new Response(Buffer.concat(chunks), { status: answer.statusCode ?? 502, headers: headersOf(answer) });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

function headersOf({ headersDistinct }: IncomingMessage): [string, string][] {
  return Object.entries(headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  );
}
