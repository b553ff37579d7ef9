import * as v from 'valibot';
import { Problem } from '../runtime/errors.ts';
import { parseInput } from '../runtime/parse.ts';
import { isSigned } from './verify.ts';

export type Delivery = {
  /** The body as it came: the signature is over these bytes. */
  readonly rawBody: Uint8Array;
  /** The request's headers; names in any letter case. */
  readonly headers: { get(name: string): string | null };
  /** Any of them signs it. */
  readonly secrets: readonly string[];
};

export type Received = {
  readonly event: string;
  readonly deliveryId: string;
  /** Parses the payload; throws `Problem('invalid')`. Ignored events are not worth it. */
  readonly payload: () => unknown;
};

/** https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap */
const mostBytes = 25 * 1024 * 1024;

const headersSchema = v.object({
  'x-github-event': v.pipe(v.string('the name of an event'), v.regex(/^[a-z0-9_]{1,64}$/, 'the name of an event')),
  'x-github-delivery': v.pipe(
    v.string('the id of the delivery'),
    v.regex(/^[A-Za-z0-9-]{1,64}$/, 'the id of the delivery'),
  ),
});

/** Verifies a delivery before anything of it is looked at, and reads its headers. */
export function readPayload({ rawBody, headers, secrets }: Delivery): Received {
  if (rawBody.byteLength > mostBytes) throw new Problem('too-large', 'A delivery has at most 25 MB');
  if (!isSigned(rawBody, headers.get('x-hub-signature-256'), secrets)) {
    throw new Problem('unauthorized', 'The signature of the delivery is missing or wrong: check the webhook secret');
  }
  const given = Object.fromEntries(Object.keys(headersSchema.entries).map((name) => [name, headers.get(name)]));
  const parsed = parseInput(headersSchema, given, 'delivery');
  const contentType = headers.get('content-type');
  return {
    event: parsed['x-github-event'],
    deliveryId: parsed['x-github-delivery'],
    payload: () => parseJson(payloadText(rawBody, contentType)),
  };
}

/** The JSON of a delivery, in either of the content types that GitHub offers. */
function payloadText(rawBody: Uint8Array, contentType: string | null): string {
  const text = decode(rawBody);
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'application/json') return text;
  const payload = type === 'application/x-www-form-urlencoded' ? new URLSearchParams(text).get('payload') : undefined;
  if (typeof payload === 'string') return payload;
  if (payload === null) throw new Problem('invalid', 'The form of the delivery has no field "payload"');
  const expected = 'application/json, or application/x-www-form-urlencoded with a field "payload"';
  throw new Problem('unsupported-media-type', `A delivery is ${expected}`);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Problem('invalid', 'The delivery is not text in UTF-8');
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Without its cause: the parser's message quotes the payload.
    throw new Problem('invalid', 'The payload of the delivery is not JSON');
  }
}
