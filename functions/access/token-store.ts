import type { Page, RecordKey, Records, Stored } from '../ports/records.ts';
import { createRecord, updateRecord, writeOptionsOf, type Shape } from '../ports/update.ts';
import { Problem } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';
import type { Claims } from './claims.ts';
import type { VerifiedToken } from './tokens.ts';

/** What is known of a token that was minted; its value is nowhere. */
export type TokenRecord = {
  readonly jti: string;
  readonly name: string;
  readonly claims: Claims;
  /** The tokens above it, the first one first. */
  readonly parents: readonly string[];
  readonly createdAt: EpochMs;
  /** The name of whoever minted it. */
  readonly createdBy: string;
  readonly expiresAtSeconds: number;
  /** To the minute. */
  readonly lastUsedAt?: EpochMs;
  readonly revoked?: { readonly at: EpochMs; readonly by: string };
};

/** An expired token is listed for a month more, so that people see what there was. */
const keptSeconds = 30 * 24 * 60 * 60;
const usedEveryMs = 60_000;

const shape: Shape<TokenRecord> = {
  what: 'token',
  indexesOf: ({ createdAt, jti }) => ({
    list: { partition: 'tokens', sort: `${String(createdAt).padStart(14, '0')}/${jti}` },
  }),
  expiresAtSecondsOf: ({ expiresAtSeconds }) => expiresAtSeconds + keptSeconds,
};

const keyOf = (jti: string): RecordKey => ({ partition: `token/${jti}`, sort: 'token' });

/** Writes down a token before anybody is given it. */
export async function createToken(
  records: Records,
  token: VerifiedToken & Pick<TokenRecord, 'createdAt' | 'createdBy'>,
): Promise<TokenRecord> {
  const { jti, name, claims, parents, createdAt, createdBy, expiresAtSeconds } = token;
  const value: TokenRecord = { jti, name, claims, parents, createdAt, createdBy, expiresAtSeconds };
  if (await createRecord(records, shape, { key: keyOf(jti), value })) return value;
  throw new Error('An id of a token was given twice');
}

/** The records of those tokens that there are. */
export async function findTokens(records: Records, jtis: readonly string[]): Promise<readonly TokenRecord[]> {
  const found = await Promise.all(jtis.map(async (jti) => await records.find<TokenRecord>(keyOf(jti))));
  return found.flatMap((stored) => (stored ? [stored.value] : []));
}

/** Tokens, the newest first; `limit` 1..1000, default 100. */
export async function listTokens(
  records: Records,
  { limit, cursor }: { readonly limit?: number | undefined; readonly cursor?: string | undefined },
): Promise<Page<TokenRecord>> {
  return await records.list<TokenRecord>({
    partition: 'tokens',
    index: 'list',
    order: 'descending',
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { after: cursor }),
  });
}

/** Ends a token, and with it everything that was minted from it; one that has ended stays as it ended. */
export async function revokeToken(
  records: Records,
  jti: string,
  by: { readonly at: EpochMs; readonly by: string },
): Promise<void> {
  const change = (token: TokenRecord) => (token.revoked ? undefined : { ...token, revoked: by });
  try {
    await updateRecord(records, shape, { key: keyOf(jti), id: jti, change });
  } catch (error) {
    // It vanished by itself, long after it had expired.
    if (!(error instanceof Problem && error.kind === 'not-found')) throw error;
  }
}

/**
 * The token's record, when it and every token above it are there and none of them is revoked. One read for each, all at
 * once: nothing is remembered, so a revocation counts from the very next request on.
 */
export async function findStanding(
  records: Records,
  { jti, parents }: Pick<VerifiedToken, 'jti' | 'parents'>,
): Promise<Stored<TokenRecord> | undefined> {
  const chain = [jti, ...parents];
  const found = await Promise.all(chain.map(async (id) => await records.find<TokenRecord>(keyOf(id))));
  return found.every((stored) => stored && !stored.value.revoked) ? found[0] : undefined;
}

/** Writes down that a token was used, at most once a minute; whoever else writes it at the same moment wins. */
export async function noteUse(records: Records, stored: Stored<TokenRecord>, now: EpochMs): Promise<void> {
  const { lastUsedAt } = stored.value;
  if (lastUsedAt !== undefined && now - lastUsedAt < usedEveryMs) return;
  const value = { ...stored.value, lastUsedAt: now };
  await records.replace(stored, value, writeOptionsOf(shape, value));
}

/** Which of these tokens are over by being revoked: themselves, or one above them; by their ids. */
export async function revokedAmong(
  records: Records,
  tokens: readonly TokenRecord[],
): Promise<ReadonlyMap<string, NonNullable<TokenRecord['revoked']>>> {
  const known = new Map(tokens.map((token) => [token.jti, token]));
  const others = new Set(tokens.flatMap(({ parents }) => parents).filter((jti) => !known.has(jti)));
  for (const token of await findTokens(records, [...others])) known.set(token.jti, token);
  return new Map(
    tokens.flatMap(({ jti, parents }) => {
      const revoked = [jti, ...parents].map((id) => known.get(id)?.revoked).find((found) => found !== undefined);
      return revoked ? [[jti, revoked] as const] : [];
    }),
  );
}
