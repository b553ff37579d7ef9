import type { Records } from '../ports/records.ts';
import { messageOf } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { EpochMs } from '../runtime/units.ts';
import { principalOf } from './admin.ts';
import type { Principal } from './principal.ts';
import { findStanding, noteUse } from './token-store.ts';
import { verifyToken } from './tokens.ts';

export type AuthenticatorOptions = {
  /** Those that are good now, asked for each time. */
  readonly adminTokens: () => Promise<readonly string[]>;
  readonly records: Records;
  readonly clock: () => EpochMs;
  readonly log: Log;
};

/** Who a token belongs to; undefined for a wrong one. */
export type Authenticate = (token: string) => Promise<Principal | undefined>;

/** Knows the admin token, and every token that was minted from it and has neither expired nor been revoked. */
export function authenticator({ adminTokens, records, clock, log }: AuthenticatorOptions): Authenticate {
  return async function authenticate(token) {
    const good = await adminTokens();
    const admin = principalOf(token, good);
    if (admin) return admin;
    const now = clock();
    const verified = await verifyToken(good, token, now);
    const stored = verified && (await findStanding(records, verified));
    if (!verified || !stored) return undefined;
    try {
      await noteUse(records, stored, now);
    } catch (error) {
      // It tells people something, and decides nothing.
      log.warn('the use of a token was not noted', { jti: verified.jti, reason: messageOf(error) });
    }
    return verified;
  };
}
