import { Hono } from 'hono';
import { grantForJob } from '../access/ci-grant.ts';
import { issueToken } from '../access/mint.ts';
import { findApp } from '../apps/registry.ts';
import { Problem } from '../runtime/errors.ts';
import { describe, named } from './describe.ts';
import { jsonBody, query } from './input.ts';
import type { RouteDependencies } from './options.ts';
import type { ApiEnv } from './request-context.ts';
import { noQuery } from './requests.ts';
import { exchangeBody, exchangedShape } from './token-requests.ts';

/**
 * Where a job of CI exchanges the token that its own issuer gave it for a short-lived one of ours (RFC 8693). Open to
 * anybody, as the subject token proves itself; a wrong one counts as a wrong token of its address.
 */
export function exchangeRoutes({ ports, adminTokens, verifyJob, wrongToken }: RouteDependencies): Hono<ApiEnv> {
  return new Hono<ApiEnv>().post(
    '/api/v1/token/exchange',
    describe({
      id: 'exchangeToken',
      tag: 'tokens',
      summary: 'Exchange the OpenID Connect token of a GitHub Actions job for a token',
      description: 'The rules in `ci` of the app say which repository and branch get what.',
      answers: { 200: ['A short-lived token', named('ExchangedToken', exchangedShape)] },
      problems: [
        'invalid',
        'unauthorized',
        'forbidden',
        'too-large',
        'unsupported-media-type',
        'unsupported',
        'too-many-requests',
        'busy',
      ],
      open: true,
    }),
    query(noQuery),
    jsonBody(exchangeBody, 'token exchange'),
    async (c) => {
      const body = c.req.valid('json');
      if (!verifyJob) throw new Problem('unsupported', 'This control plane exchanges no tokens');
      try {
        const job = await verifyJob(body.subject_token);
        // An app that is not there has no rules either: nobody outside is told which ones there are.
        const app = { id: body.app, ci: (await findApp(ports.records, body.app))?.app.ci };
        const grant = grantForJob(app, job, ports.clock());
        const minted = await issueToken({ ...ports, adminTokens }, grant, grant.name);
        c.set('principal', { ...grant, jti: minted.record.jti });
        c.set('about', { app: app.id, branch: grant.claims.branches[0], tokens: [minted.record.jti] });
        return c.json({
          access_token: minted.value,
          issued_token_type: 'urn:ietf:params:oauth:token-type:jwt' as const,
          token_type: 'Bearer' as const,
          expires_in: grant.expiresAtSeconds - Math.floor(ports.clock() / 1000),
        });
      } catch (error) {
        if (!(error instanceof Problem) || (error.kind !== 'unauthorized' && error.kind !== 'forbidden')) throw error;
        const counted = wrongToken(c, error.message);
        throw counted.kind === 'too-many-requests' ? counted : error;
      }
    },
  );
}
