import { gzipSync } from 'node:zlib';
import { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import type { ApiEnv } from '../../functions/api/request-context.ts';
import { httpHandler, sourceAddress } from '../../functions/lambda/http.ts';
import { adminToken, openTestApi, webhookSecret } from '../support/api.ts';
import { twoTargets as webApp } from '../support/scripted-cloud.ts';
import { pushOf, signatureOf } from '../webhook/delivery-of.ts';
import { apiEvent, type EventOptions } from './api-event.ts';

let api: Awaited<ReturnType<typeof openTestApi>>;
let ask: (options: EventOptions) => Promise<APIGatewayProxyStructuredResultV2>;
beforeEach(async () => {
  api = await openTestApi({ https: true, addressOf: sourceAddress });
  const handler = httpHandler(api.app);
  ask = async (options) => await handler(apiEvent(options), {} as Context);
});
afterEach(async () => await api.close());

const authorization = `Bearer ${adminToken}`;
const json = ({ body }: APIGatewayProxyStructuredResultV2) => JSON.parse(body ?? '') as Record<string, unknown>;
/** Letters of two, three and four bytes, whose signature is over just those bytes. */
const push = JSON.stringify(pushOf({ pusher: { name: 'Zoë 日本 🚀' } }));
const delivery = (extra: Partial<EventOptions> = {}): EventOptions => ({
  method: 'POST',
  path: '/webhooks/github',
  body: push,
  ...extra,
  headers: {
    'content-type': 'application/json',
    'x-github-event': 'push',
    'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    'x-hub-signature-256': signatureOf(push, webhookSecret),
    ...extra.headers,
  },
});

describe('the API behind API Gateway', () => {
  it('answers as JSON in the form that API Gateway takes, with every security header', async () => {
    const answer = await ask({ path: '/health' });
    expect(answer).toMatchObject({ statusCode: 200, isBase64Encoded: false });
    expect(json(answer)).toEqual({ status: 'ok', version: '0.0.0' });
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
  });

  it('takes a GET with a body, packed by gzip or already unpacked on its way', async () => {
    const sent = async (method: string, path: string, body: object) => {
      const headers = { authorization, 'content-type': 'application/json' };
      return json(await ask({ method, path, headers, body: JSON.stringify(body) }));
    };
    await sent('PUT', '/api/v1/apps/web', webApp);
    const id = String((await sent('POST', '/api/v1/build', { repo: 'dev', 'app-id': 'web' }))['id']);
    const path = `/api/v1/build/${id}/missing_objects`;
    const wanted = [`${'0'.repeat(64)}.blob`];
    const headers = { authorization, 'content-encoding': 'gzip' };
    const body = JSON.stringify({ wanted });
    const answers = [
      await ask({ path, headers, body: gzipSync(body), isBase64: true }),
      await ask({ path, headers: { ...headers, 'content-type': 'application/json' }, body }),
      await ask({ path, headers, body, isBase64: true }),
    ];
    for (const answer of answers) expect([answer.statusCode, json(answer)]).toEqual([200, { missing: wanted }]);
  });

  it('reads path and query, and answers problems as problems', async () => {
    await api.request('PUT', '/api/v1/apps/web', { body: webApp });
    const list = await ask({ path: '/api/v1/apps', query: 'limit=1', headers: { authorization } });
    expect(json(list)).toMatchObject({ items: [{ id: 'web' }] });
    const wrong = await ask({ path: '/api/v1/apps', query: 'limit=1&limit=2', headers: { authorization } });
    expect(wrong.statusCode).toBe(400);
    expect(wrong.headers?.['content-type']).toBe('application/problem+json');
    expect((await ask({ path: '/api/v1/apps' })).statusCode).toBe(401);
    expect((await ask({ path: '/nowhere' })).statusCode).toBe(404);
  });

  it('takes a body and answers without one', async () => {
    const headers = { authorization, 'content-type': 'application/json' };
    const app = await ask({ method: 'PUT', path: '/api/v1/apps/web', body: JSON.stringify(webApp), headers });
    expect(app.statusCode).toBe(201);
    const gone = await ask({ method: 'DELETE', path: '/api/v1/apps/web', headers: { authorization } });
    expect(gone).toMatchObject({ statusCode: 204, body: '' });
  });
});

describe('a GET with a body behind API Gateway', () => {
  const echo = new Hono<ApiEnv>().all('*', async (c) => c.text(`${c.req.method} ${await c.req.text()}`));
  const said = async (options: EventOptions) => (await httpHandler(echo)(apiEvent(options), {} as Context)).body;

  it.each([false, true])('is handed on as QUERY under /api/v1 (in base64: %s)', async (isBase64) => {
    expect(await said({ path: '/api/v1/job/7', body: '{"log-offset":1}', isBase64 })).toBe('QUERY {"log-offset":1}');
  });

  it('stays a GET without one, and loses it elsewhere', async () => {
    expect(await said({ path: '/api/v1/job/7' })).toBe('GET ');
    expect(await said({ path: '/health', body: '{}' })).toBe('GET ');
    expect(await said({ method: 'POST', path: '/api/v1/build', body: '{}' })).toBe('POST {}');
  });
});

describe('a delivery behind API Gateway', () => {
  beforeEach(async () => void (await api.request('PUT', '/api/v1/apps/web', { body: webApp })));

  it.each([
    ['as text', false],
    ['in base64', true],
  ])('is taken %s, its signature over the bytes as they were sent', async (_how, isBase64) => {
    const answer = await ask(delivery({ isBase64 }));
    expect([answer.statusCode, json(answer)]).toEqual([
      202,
      { deployments: [expect.objectContaining({ app: 'web', environment: 'dev' })] },
    ]);
    expect(api.started).toHaveLength(1);
    expect((await ask(delivery({ isBase64: !isBase64 }))).statusCode).toBe(200);
    expect(api.started).toHaveLength(1);
  });

  it('is refused when a byte of it is another one', async () => {
    expect((await ask(delivery({ body: push.replace('🚀', '🚁') }))).statusCode).toBe(401);
    expect((await ask(delivery({ body: `${push}\n`, isBase64: true }))).statusCode).toBe(401);
    expect((await ask(delivery({ headers: { 'x-hub-signature-256': '' } }))).statusCode).toBe(401);
    expect(api.started).toEqual([]);
  });
});

describe('the id of a request', () => {
  it("is API Gateway's own, by which its access log is found", async () => {
    expect((await ask({ path: '/health' })).headers?.['x-request-id']).toBe('JKJaXmPLvHcESHA=');
  });

  it('is what the client brings, where it brings a harmless one', async () => {
    const answer = await ask({ path: '/health', headers: { 'x-request-id': 'mine-1' } });
    expect(answer.headers?.['x-request-id']).toBe('mine-1');
  });
});

describe('the address of a client', () => {
  it('is the one that API Gateway saw, whatever the headers say', async () => {
    const guess = async (sourceIp: string, forwarded: string) => {
      const event = apiEvent({
        path: '/api/v1/apps',
        headers: { authorization: 'Bearer wrong', 'x-forwarded-for': forwarded },
      });
      event.requestContext.http.sourceIp = sourceIp;
      return (await httpHandler(api.app)(event, {} as Context)).statusCode;
    };
    for (let n = 0; n < 60; n += 1) expect(await guess('203.0.113.7', `6.6.6.${n}`)).toBe(401);
    expect(await guess('203.0.113.7', '6.6.6.6')).toBe(429);
    expect(await guess('203.0.113.8', '203.0.113.7')).toBe(401);
  });
});
