import type { Policy } from './ports.ts';

/** What holds where nobody sets anything else; the local server's settings have the same defaults. */
export const defaultLimits: Policy['limits'] = {
  objectBytes: 5 * 1024 ** 3,
  buildBytes: 20 * 1024 ** 3,
  buildObjects: 500_000,
  appBytes: 200 * 1024 ** 3,
  requestsPerMinute: 1200,
};

/** GitHub Actions, for tokens that its jobs ask for in our name. */
export const defaultOidc: Policy['oidc'] = {
  issuer: 'https://token.actions.githubusercontent.com',
  audience: 'sluice',
};
