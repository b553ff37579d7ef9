import { NotReachable } from './failures.ts';

/** What a failed fetch means: a sentence for the person, and whether the request surely never left. */
export type NetworkFailure = { readonly failure: NotReachable; readonly neverSent: boolean };

/** `origin` says where the URL came from. */
export function networkFailure(error: unknown, baseUrl: string, origin: string): NetworkFailure {
  const code = codeOf(error);
  const neverSent = unsentCodes.has(code);
  const why = sentences[code] ?? `the connection failed (${code})`;
  const hint = origin.endsWith('server.json')
    ? `The address is from ${origin}: start the server with "npm start".`
    : `The address is from ${origin}.`;
  const options = { cause: error, hint, mayBeDone: !neverSent };
  return { failure: new NotReachable(`${baseUrl} cannot be reached: ${why}.`, options), neverSent };
}

const unsentCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

const sentences: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the host name cannot be resolved now',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
  TIMEOUT: 'there was no answer in time',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed (NODE_EXTRA_CA_CERTS can name an authority to trust)',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not trusted (NODE_EXTRA_CA_CERTS can name an authority to trust)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its certificate is not trusted (NODE_EXTRA_CA_CERTS can name an authority to trust)',
  CERT_HAS_EXPIRED: 'its certificate has expired',
};

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  if (error.name === 'TimeoutError') return 'TIMEOUT';
  if ('code' in error && typeof error.code === 'string') return error.code;
  // A host with several addresses: the first one's failure speaks for all.
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  return error.cause === undefined ? error.message || error.name : codeOf(error.cause);
}
