import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { auditListShape, exchangedShape, tokenListShape } from '../../functions/api/token-requests.ts';
import { problemShape } from '../../functions/api/shapes.ts';
import { fetchJson } from '../../functions/runtime/fetch-json.ts';
import { openTestApi } from '../support/api.ts';
import { bearer } from '../support/tokens.ts';

/** An issuer as GitHub Actions is one, on this machine. */
let issuer: { readonly server: Server; readonly url: string; keys: object[]; asked: string[] };
let key: CryptoKey;
let strangersKey: CryptoKey;
beforeAll(async () => {
  const pair = await generateKeyPair('RS256');
  key = pair.privateKey;
  strangersKey = (await generateKeyPair('RS256')).privateKey;
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
  const server = createServer((request, response) => {
    issuer.asked.push(request.url ?? '');
    const discovery = { issuer: issuer.url, jwks_uri: `${issuer.url}/.well-known/jwks` };
    const answers: Record<string, object> = {
      '/.well-known/openid-configuration': discovery,
      '/.well-known/jwks': { keys: issuer.keys },
    };
    const answer = answers[request.url ?? ''];
    response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  issuer = { server, url, keys: [jwk], asked: [] };
});
afterAll(() => {
  issuer.server.close();
});

let api: Awaited<ReturnType<typeof openTestApi>>;
let now: number;
beforeEach(async () => {
  now = Date.now();
  issuer.asked = [];
  api = await openTestApi({
    fetchJson,
    addressOf: (c) => c.req.header('x-test-address') ?? 'here',
    ports: {
      clock: () => now,
      policy: {
        source: { allowFile: true, ownRemote: undefined },
        fetch: { allowPrivateHosts: false, maxBytes: 1 },
        limits: { objectBytes: 1, buildBytes: 1, buildObjects: 1, appBytes: 1, requestsPerMinute: 1000 },
        oidc: { issuer: issuer.url, audience: 'sluice' },
      },
    },
  });
  const body = {
    environments: ['dev', 'stable'].map((name) => ({ name, targets: [{ name: 'web' }] })),
    ci: [
      { repository: 'acme/web', branch: 'main', environments: ['dev'], scopes: ['read', 'deploy'], minutes: 5 },
      { repository: 'acme/web', branch: 'release/*', environments: ['stable'], scopes: ['read'] },
    ],
  };
  await api.request('PUT', '/api/v1/apps/web', { body });
  await api.request('PUT', '/api/v1/apps/other', { body: { environments: body.environments } });
});
afterEach(async () => {
  await api.close();
});

type Changes = {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly isStrangers?: boolean;
  readonly kid?: string;
  readonly seconds?: number;
};

/** The token of a job, as GitHub makes them. */
async function jobToken({
  claims = {},
  isStrangers = false,
  kid = 'k1',
  seconds = 300,
}: Changes = {}): Promise<string> {
  const issuedAt = Math.floor(now / 1000);
  return await new SignJWT({
    iss: issuer.url,
    aud: 'sluice',
    sub: 'repo:acme/web:ref:refs/heads/main',
    repository: 'acme/web',
    ref: 'refs/heads/main',
    event_name: 'push',
    iat: issuedAt,
    exp: issuedAt + seconds,
    ...claims,
  })
    .setProtectedHeader({ alg: 'RS256', kid, typ: 'JWT' })
    .sign(isStrangers ? strangersKey : key);
}

const requestOf = (subjectToken: string, more: object = {}, address = 'here') => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', 'x-test-address': address },
  body: JSON.stringify({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: subjectToken,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    app: 'web',
    ...more,
  }),
});
const exchange = async (subjectToken: string, more: object = {}, address = 'here'): Promise<Response> =>
  await api.app.request('/api/v1/token/exchange', requestOf(subjectToken, more, address));
const exchanged = async (response: Response) => {
  expect(response.status).toBe(200);
  return v.parse(exchangedShape, await response.json());
};

describe('the token of a job', () => {
  it('is exchanged for a short one that is bound to the app, the rule and the branch', async () => {
    const response = await exchanged(await exchange(await jobToken(), { audience: 'sluice' }));
    expect(response).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      issued_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_type: 'Bearer',
      expires_in: 300,
    });
    const { items } = v.parse(tokenListShape, await (await api.request('GET', '/api/v1/tokens')).json());
    expect(items).toMatchObject([
      {
        name: 'github:acme/web@refs/heads/main',
        sub: '',
        scope: ['read', 'deploy'],
        prefixes: [],
        apps: ['web'],
        repos: ['dev'],
        environments: ['dev'],
        branches: ['main'],
        parents: [],
      },
    ]);
    const token = bearer(response.access_token);
    const deploy = async (app: string, environment: string) =>
      (await api.request('POST', '/api/v1/deployments', { body: { app, environment, image: 'web:1' }, ...token }))
        .status;
    expect([await deploy('web', 'dev'), await deploy('web', 'stable'), await deploy('other', 'dev')]).toEqual([
      202, 403, 403,
    ]);
    expect((await api.request('GET', '/api/v1/audit', token)).status).toBe(403);
    now += 300_000;
    expect((await api.request('GET', '/api/v1/apps/web', token)).status).toBe(401);
  });

  it('may come from a branch that a glob takes, and gets what that rule gives', async () => {
    const token = await jobToken({ claims: { ref: 'refs/heads/release/2' } });
    expect((await exchanged(await exchange(token))).expires_in).toBe(15 * 60);
  });

  it('is known by its repository in any letter case, as GitHub knows it', async () => {
    expect((await exchange(await jobToken({ claims: { repository: 'Acme/Web' } }))).status).toBe(200);
  });

  it('leaves an entry in the audit log', async () => {
    await exchange(await jobToken());
    const { items } = v.parse(auditListShape, await (await api.request('GET', '/api/v1/audit?app=web')).json());
    expect(items[0]).toMatchObject({
      action: 'exchangeToken',
      actor: 'github:acme/web@refs/heads/main',
      app: 'web',
      result: 'done',
      tokens: [expect.any(String)],
    });
  });

  it.each<[string, Changes]>([
    ['signed by a stranger', { isStrangers: true }],
    ['signed by a key that nobody knows', { kid: 'k2' }],
    ['of another issuer', { claims: { iss: 'https://token.actions.githubusercontent.com' } }],
    ['for another audience', { claims: { aud: 'https://github.com/acme' } }],
    ['for no audience', { claims: { aud: undefined } }],
    ['that is over', { seconds: -60 }],
    ['without an end', { claims: { exp: undefined } }],
    ['that begins later', { claims: { nbf: Math.floor(Date.now() / 1000) + 600 } }],
    ['without a repository', { claims: { repository: undefined } }],
    ['without a ref', { claims: { ref: undefined } }],
    ['without an event', { claims: { event_name: undefined } }],
  ])('is not taken when it is one %s', async (_what, changes) => {
    const response = await exchange(await jobToken(changes));
    expect([response.status, v.parse(problemShape, await response.json())['error-type']]).toEqual([
      401,
      'invalid-token',
    ]);
  });

  it('is not taken when its algorithm is none of public keys', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const [, payload = ''] = (await jobToken()).split('.');
    expect((await exchange(`${part({ alg: 'none' })}.${payload}.`)).status).toBe(401);
    const { n } = await v.parseAsync(v.looseObject({ n: v.string() }), issuer.keys[0]);
    const bySecret = await new SignJWT({ repository: 'acme/web' })
      .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
      .setIssuer(issuer.url)
      .setAudience('sluice')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(new TextEncoder().encode(n));
    expect((await exchange(bySecret)).status).toBe(401);
    expect((await exchange('garbage')).status).toBe(401);
  });

  it.each<[string, Record<string, unknown>, object]>([
    ['another repository', { repository: 'mallory/web' }, {}],
    ['a fork', { repository: 'mallory/web', ref: 'refs/heads/main' }, {}],
    ['a repository whose name goes on', { repository: 'acme/web2' }, {}],
    ['another branch', { ref: 'refs/heads/next' }, {}],
    ['a branch beneath', { ref: 'refs/heads/main/x' }, {}],
    ['a tag of that name', { ref: 'refs/tags/main' }, {}],
    ['a pull request', { ref: 'refs/pull/1/merge', event_name: 'pull_request' }, {}],
    ['a pull request that runs on the branch', { event_name: 'pull_request_target' }, {}],
    ['a review of one', { event_name: 'pull_request_review' }, {}],
    ['an app without rules', {}, { app: 'other' }],
    ['an app that is not there', {}, { app: 'nothing' }],
  ])('lets %s do nothing', async (_what, claims, more) => {
    const response = await exchange(await jobToken({ claims }), more);
    const problem = v.parse(problemShape, await response.json());
    expect([response.status, problem['error-type']]).toEqual([403, 'token-insufficient']);
    expect(problem.message).toMatch(/^Not enough permissions: no rule of the app \w+ lets this job in$/);
  });

  it('that is wrong counts as a wrong token of its address', async () => {
    const stranger = await jobToken({ claims: { repository: 'mallory/web' } });
    for (let at = 0; at < 30; at += 1) {
      expect((await exchange('garbage', {}, 'there')).status).toBe(401);
      expect((await exchange(stranger, {}, 'there')).status).toBe(403);
    }
    expect((await exchange('garbage', {}, 'there')).status).toBe(429);
    expect((await exchange('garbage', {}, 'elsewhere')).status).toBe(401);
    expect((await exchange(await jobToken(), {}, 'there')).status).toBe(200);
  });

  it.each([
    { grant_type: 'client_credentials' },
    { subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' },
    { app: '../etc' },
    { subject_token: '' },
    { scope: 'deploy' },
  ])('is to be sent as the RFC says: not with %j', async (wrong) => {
    expect((await exchange(await jobToken(), wrong)).status).toBe(400);
  });
});

describe('the keys of an issuer', () => {
  it('are asked for once an hour, and when one is not among them, but not at every such token', async () => {
    await exchange(await jobToken());
    await exchange(await jobToken());
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/.well-known/jwks']);
    const unknown = async () => await exchange(await jobToken({ kid: 'k2' }));
    await unknown();
    await unknown();
    expect(issuer.asked).toHaveLength(2);
    now += 31_000;
    await unknown();
    await unknown();
    expect(issuer.asked).toHaveLength(4);
    now += 60 * 60_000;
    await exchange(await jobToken());
    expect(issuer.asked).toHaveLength(6);
  });

  it('that cannot be had are no reason to let anybody in', async () => {
    let asked = 0;
    const alone = await openTestApi({
      fetchJson: async () => {
        asked += 1;
        return await Promise.reject(new Error('unreachable'));
      },
      ports: { policy: { ...api.ports.policy }, clock: () => now },
    });
    const token = await jobToken();
    const ask = async () => await alone.app.request('/api/v1/token/exchange', requestOf(token));
    const [response] = await Promise.all([ask(), ask(), ask()]);
    expect([response.status, response.headers.get('retry-after'), asked]).toEqual([503, '5', 1]);
    expect([(await ask()).status, asked]).toEqual([503, 1]);
    now += 5000;
    expect([(await ask()).status, asked]).toEqual([503, 2]);
    await alone.close();
  });

  it.each([
    ['calls itself by another name', { issuer: 'https://evil.example', jwks_uri: 'https://evil.example/jwks' }],
    ['names keys elsewhere over plain HTTP', { jwks_uri: 'http://evil.example/jwks' }],
    ['names a file', { jwks_uri: 'file:///etc/passwd' }],
  ])('are not read when it %s', async (_what, wrong) => {
    const asked: string[] = [];
    const wary = await openTestApi({
      fetchJson: async (url) => {
        asked.push(url);
        return await Promise.resolve({ issuer: issuer.url, ...wrong });
      },
      ports: { policy: { ...api.ports.policy } },
    });
    const response = await wary.app.request('/api/v1/token/exchange', requestOf(await jobToken()));
    expect([response.status, asked]).toEqual([503, [`${issuer.url}/.well-known/openid-configuration`]]);
    await wary.close();
  });
});

describe('a rule of an app', () => {
  const put = async (rule: object) => {
    const base = { repository: 'acme/web', branch: 'main', environments: ['dev'], scopes: ['deploy'] };
    const body = { environments: [{ name: 'dev', targets: [{ name: 'web' }] }], ci: [{ ...base, ...rule }] };
    return (await api.request('PUT', '/api/v1/apps/ruled', { body })).status;
  };

  it.each([
    [{}, 201],
    [{ branch: '**', minutes: 60 }, 201],
    [{ branch: undefined }, 400],
    [{ branch: '' }, 400],
    [{ branch: '!main' }, 400],
    [{ repository: 'acme' }, 400],
    [{ repository: 'acme/*' }, 400],
    [{ environments: [] }, 400],
    [{ environments: ['stable'] }, 400],
    [{ environments: [''] }, 400],
    [{ scopes: [] }, 400],
    [{ scopes: ['tokenmanagement'] }, 400],
    [{ scopes: ['apps'] }, 400],
    [{ minutes: 61 }, 400],
    [{ minutes: 0 }, 400],
    [{ event: 'pull_request' }, 400],
  ])('as %j is answered %i', async (rule, status) => {
    expect(await put(rule)).toBe(status);
  });
});
