import type { Limits } from '../functions/ports/ports.ts';
import type { Settings } from './config.ts';

/** As `functions/lambda/environment.ts` reads them; a test compares the two. */
const variables: Readonly<Record<keyof Limits, string>> = {
  requestsPerMinute: 'SLUICE_RATE_PER_MINUTE',
  objectBytes: 'SLUICE_MAX_OBJECT_BYTES',
  buildBytes: 'SLUICE_MAX_BUILD_BYTES',
  buildObjects: 'SLUICE_MAX_BUILD_OBJECTS',
  appBytes: 'SLUICE_MAX_APP_BYTES',
};

/** What a configuration sets of the builds service, for the functions; what it leaves out has their defaults. */
export function limitVariables({ limits, oidc }: Settings): Readonly<Record<string, string>> {
  const named = Object.entries(limits).map(
    ([name, value]) => [variables[name as keyof Limits], String(value)] as const,
  );
  return {
    ...Object.fromEntries(named),
    ...(oidc ? { SLUICE_OIDC_ISSUER: oidc.issuer, SLUICE_OIDC_AUDIENCE: oidc.audience } : {}),
  };
}
