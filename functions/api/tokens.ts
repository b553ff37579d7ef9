import { Hono, type Context } from 'hono';
import { mintToken } from '../access/mint.ts';
import { isWithin, type MintRequest } from '../access/narrow.ts';
import type { Principal } from '../access/principal.ts';
import { findTokens, listTokens, revokedAmong, revokeToken, type TokenRecord } from '../access/token-store.ts';
import { isoTime } from '../runtime/units.ts';
import { describe, named } from './describe.ts';
import { jsonBody, query } from './input.ts';
import type { RouteDependencies } from './options.ts';
import { insufficient } from './permit.ts';
import { actorOf, principalOf, type ApiEnv } from './request-context.ts';
import { noQuery, pageQuery } from './requests.ts';
import {
  mintedShape,
  tokenBody,
  tokenIdsBody,
  tokenListShape,
  tokenRowsShape,
  type TokenBody,
  type TokenRow,
  type TokenView,
} from './token-requests.ts';

const bodyProblems = ['too-large', 'unsupported-media-type', 'busy'] as const;

/** Tokens: narrower ones for whoever holds one, and for those who manage them a list and the end of them. */
export function tokenRoutes({ ports, adminTokens }: RouteDependencies): Hono<ApiEnv> {
  const { records } = ports;
  return new Hono<ApiEnv>()
    .post(
      '/api/v1/token_subset',
      describe({
        id: 'mintToken',
        tag: 'tokens',
        summary: 'Mint a token that is narrower than the one it is asked with',
        description:
          'Never wider in anything, and never longer; a list that is left out or empty is that of the token it is asked ' +
          'with, but `apps` and `prefixes` say together which apps are allowed. The value is shown this once.',
        answers: { 200: ['The token', named('MintedToken', mintedShape)] },
        problems: bodyProblems,
      }),
      query(noQuery),
      jsonBody(tokenBody, 'token'),
      async (c) => {
        const minted = await mintToken({ ...ports, adminTokens }, principalOf(c), mintRequest(c.req.valid('json')));
        const { jti: id, name, expiresAtSeconds } = minted.record;
        concerns(c, [id]);
        return c.json({ token: minted.value, id, name, expires: isoTime(expiresAtSeconds * 1000) });
      },
    )
    .post(
      '/api/v1/tokens/get_list',
      describe({
        id: 'getTokens',
        tag: 'tokens',
        summary: 'Show the tokens of some ids, as flat-manager does',
        description: 'Those that there are, and that allow no more than the token it is asked with.',
        answers: { 200: ['The tokens', named('TokenRows', tokenRowsShape)] },
        problems: bodyProblems,
      }),
      query(noQuery),
      jsonBody(tokenIdsBody, 'list of ids'),
      async (c) => {
        const found = await findTokens(records, unique(c.req.valid('json').token_ids));
        const tokens = found.filter(isManagedBy(principalOf(c)));
        const revoked = await revokedAmong(records, tokens);
        return c.json(tokens.map((token) => rowOf(token, revoked.get(token.jti)?.at)));
      },
    )
    .post(
      '/api/v1/tokens/revoke',
      describe({
        id: 'revokeTokens',
        tag: 'tokens',
        summary: 'Revoke tokens, and with each everything that was minted from it',
        description: 'It counts from the next request on. Ids that nobody knows are passed over.',
        answers: { 204: 'They are good for nothing any more.' },
        problems: bodyProblems,
      }),
      query(noQuery),
      jsonBody(tokenIdsBody, 'list of ids'),
      async (c) => {
        const tokens = await findTokens(records, unique(c.req.valid('json').token_ids));
        concerns(
          c,
          tokens.map(({ jti }) => jti),
        );
        if (!tokens.every(isManagedBy(principalOf(c))))
          throw insufficient('a token among these allows more than yours');
        const revoked = { at: ports.clock(), by: actorOf(c) };
        await Promise.all(tokens.map(async ({ jti }) => await revokeToken(records, jti, revoked)));
        return c.body(null, 204);
      },
    )
    .get(
      '/api/v1/tokens',
      describe({
        id: 'listTokens',
        tag: 'tokens',
        summary: 'List the tokens, newest first, with their last use',
        description: 'Those that allow no more than the token it is asked with. Values are not kept, and so not shown.',
        answers: { 200: ['A page of tokens', named('TokenList', tokenListShape)] },
        problems: ['busy'],
      }),
      query(pageQuery),
      async (c) => {
        const { limit = 50, cursor } = c.req.valid('query');
        const page = await listTokens(records, { limit, cursor });
        const tokens = page.items.map(({ value }) => value).filter(isManagedBy(principalOf(c)));
        const revoked = await revokedAmong(records, tokens);
        return c.json({ items: tokens.map((token) => viewOf(token, revoked.get(token.jti))), next: page.next ?? null });
      },
    );
}

/** Whoever manages tokens sees and ends those that allow no more than theirs. */
function isManagedBy({ claims }: Principal): (token: TokenRecord) => boolean {
  return (token) => isWithin(token.claims, claims);
}

/** For the audit log. */
function concerns(c: Context<ApiEnv>, tokens: readonly string[]): void {
  c.set('about', { ...c.get('about'), tokens: tokens.slice(0, 100) });
}

function mintRequest({ name, duration, ...asked }: TokenBody): MintRequest {
  return {
    name,
    durationSeconds: duration,
    sub: asked.sub ?? undefined,
    scope: asked.scope ?? undefined,
    prefixes: asked.prefixes ?? undefined,
    apps: asked.apps ?? undefined,
    repos: asked.repos ?? undefined,
    environments: asked.environments ?? undefined,
    branches: asked.branches ?? undefined,
  };
}

function viewOf(token: TokenRecord, revoked: TokenRecord['revoked']): TokenView {
  const { sub, scope, prefixes, apps, repos, environments, branches } = token.claims;
  return {
    id: token.jti,
    name: token.name,
    sub,
    scope: [...scope],
    prefixes: [...prefixes],
    apps: [...apps],
    repos: [...repos],
    environments: [...environments],
    branches: [...branches],
    parents: [...token.parents],
    createdAt: isoTime(token.createdAt),
    createdBy: token.createdBy,
    expiresAt: isoTime(token.expiresAtSeconds * 1000),
    lastUsedAt: token.lastUsedAt === undefined ? null : isoTime(token.lastUsedAt),
    revokedAt: revoked ? isoTime(revoked.at) : null,
    revokedBy: revoked?.by ?? null,
  };
}

function rowOf({ jti, name, expiresAtSeconds, lastUsedAt }: TokenRecord, revokedAt: number | undefined): TokenRow {
  return {
    token_id: jti,
    name,
    expires: zoneless(expiresAtSeconds * 1000),
    last_used: lastUsedAt === undefined ? null : zoneless(lastUsedAt),
    revoked_at: revokedAt === undefined ? null : zoneless(revokedAt),
  };
}

function zoneless(at: number): string {
  return isoTime(at).replace(/Z$/, '');
}

function unique(ids: readonly string[]): readonly string[] {
  return [...new Set(ids)];
}
