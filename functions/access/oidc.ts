import type { JSONWebKeySet } from 'jose';
import * as v from 'valibot';
import { Problem } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';

/** Reads JSON from a URL, quickly and not much of it, following no redirect; throws when that fails. */
export type FetchJson = (url: string) => Promise<unknown>;

export type OidcOptions = {
  readonly issuer: string;
  readonly audience: string;
  readonly fetchJson: FetchJson;
  readonly clock: () => EpochMs;
};

/** Which job of GitHub Actions a token was made for. */
export type CiJob = {
  /** `acme/web` */
  readonly repository: string;
  /** `refs/heads/main` */
  readonly ref: string;
  /** `push` */
  readonly event: string;
};

/** https://docs.github.com/en/actions/reference/security/oidc#oidc-token-claims */
const jobSchema = v.object({
  repository: v.pipe(v.string(), v.regex(/^[\w.-]{1,100}\/[\w.-]{1,100}$/)),
  ref: v.pipe(v.string(), v.maxLength(300)),
  event_name: v.pipe(v.string(), v.regex(/^\w{1,100}$/)),
});
const discoverySchema = v.object({ issuer: v.string(), jwks_uri: v.pipe(v.string(), v.url()) });
const keySetSchema = v.object({ keys: v.array(v.looseObject({ kty: v.string() })) });

const keptMs = 60 * 60_000;
/** An unknown key makes us look again, but not more often than this: anybody can send a token that names one. */
const againAfterMs = 30_000;
const afterFailureMs = 5000;

/**
 * Verifies tokens of an OpenID Connect issuer and answers with the job they were made for. The issuer's keys are found
 * by its discovery document and kept for an hour. Throws `Problem('unauthorized')` for a token that is wrong, and
 * `Problem('busy')` when the issuer does not answer.
 */
export function oidcVerifier(options: OidcOptions): (token: string) => Promise<CiJob> {
  const keys = keySetOf(options);
  return async function verify(token) {
    const [{ jwtVerify }, { createLocalJWKSet }, { JOSEError, JWKSNoMatchingKey }] = await Promise.all([
      import('jose/jwt/verify'),
      import('jose/jwks/local'),
      import('jose/errors'),
    ]);
    const { audience, clock } = options;
    const issuer = options.issuer.replace(/\/$/, '');
    const check = async (set: JSONWebKeySet) =>
      await jwtVerify(token, createLocalJWKSet(set), {
        issuer: [issuer, `${issuer}/`],
        audience,
        algorithms: ['RS256', 'ES256'],
        requiredClaims: ['exp', 'iat'],
        currentDate: new Date(clock()),
        // Clocks of two parties; the token is made just before.
        clockTolerance: 5,
      });
    try {
      const { payload } = await check(await keys.get()).catch(async (error: unknown) => {
        if (!(error instanceof JWKSNoMatchingKey)) throw error;
        return await check(await keys.renewed());
      });
      const job = v.safeParse(jobSchema, payload);
      if (!job.success) throw new Problem('unauthorized', 'The subject token does not say which job it is for');
      return { repository: job.output.repository, ref: job.output.ref, event: job.output.event_name };
    } catch (cause) {
      if (cause instanceof JOSEError) throw new Problem('unauthorized', 'The subject token is not valid', { cause });
      throw cause;
    }
  };
}

function keySetOf({ fetchJson, clock, ...options }: OidcOptions) {
  const issuer = options.issuer.replace(/\/$/, '');
  let known: { readonly at: EpochMs; readonly set: JSONWebKeySet } | undefined;
  let failedAt: EpochMs | undefined;
  let reading: Promise<JSONWebKeySet> | undefined;

  async function read(): Promise<JSONWebKeySet> {
    const discovered = v.parse(discoverySchema, await fetchJson(`${issuer}/.well-known/openid-configuration`));
    if (discovered.issuer.replace(/\/$/, '') !== issuer) throw new Error('The issuer calls itself by another name');
    if (!isAsSafeAs(discovered.jwks_uri, issuer)) throw new Error('The keys of the issuer are not at an https URL');
    return v.parse(keySetSchema, await fetchJson(discovered.jwks_uri));
  }

  /** Once for all who want it at the same time, and not again at once when it fails: anybody can make us ask. */
  async function readOnce(): Promise<JSONWebKeySet> {
    const isTooSoon = failedAt !== undefined && clock() - failedAt < afterFailureMs;
    if (isTooSoon) throw notNow(issuer);
    reading ??= read().finally(() => (reading = undefined));
    try {
      const set = await reading;
      known = { at: clock(), set };
      failedAt = undefined;
      return set;
    } catch (cause) {
      failedAt = clock();
      throw notNow(issuer, cause);
    }
  }

  return {
    get: async () => (known && clock() - known.at < keptMs ? known.set : await readOnce()),
    renewed: async () => (known && clock() - known.at < againAfterMs ? known.set : await readOnce()),
  };
}

function notNow(issuer: string, cause?: unknown): Problem {
  return new Problem('busy', `The issuer ${issuer} does not tell its keys now; try again`, {
    cause,
    retryAfterSeconds: afterFailureMs / 1000,
  });
}

/** Keys over plain HTTP only where the issuer itself is reached so, which is on this machine alone. */
function isAsSafeAs(url: string, issuer: string): boolean {
  const { protocol, host } = new URL(url);
  return protocol === 'https:' || (issuer.startsWith('http:') && host === new URL(issuer).host);
}
