import * as fc from 'fast-check';
import { Hono } from 'hono';
import type { Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { externalBase, externalUrl, onSameHost } from '../../functions/api/external-url.ts';
import type { ApiEnv } from '../../functions/api/request-context.ts';
import { httpHandler } from '../../functions/lambda/http.ts';
import { apiEvent } from '../lambda/api-event.ts';

const app = new Hono<ApiEnv>().get('*', (c) => c.text(externalUrl(c, '/api/v1/build/7')));
const said = async (headers: Record<string, string>, url = 'http://127.0.0.1:4600/api/v1/build') =>
  await (await app.request(url, { headers })).text();

describe('the URL by which a client reaches us', () => {
  it('is that of the request, where no proxy says another', async () => {
    expect(await said({})).toBe('http://127.0.0.1:4600/api/v1/build/7');
  });

  it.each<[string, Record<string, string>, string]>([
    ['the host', { 'x-forwarded-host': 'sluice.example' }, 'http://sluice.example'],
    ['host and port', { 'x-forwarded-host': 'sluice.example:8443' }, 'http://sluice.example:8443'],
    ['an address', { 'x-forwarded-host': '[2001:db8::1]:8443' }, 'http://[2001:db8::1]:8443'],
    ['the protocol', { 'x-forwarded-proto': 'https' }, 'https://127.0.0.1:4600'],
    ['a prefix', { 'x-forwarded-prefix': '/ci/sluice' }, 'http://127.0.0.1:4600/ci/sluice'],
    ['a prefix with a slash', { 'x-forwarded-prefix': '/ci/' }, 'http://127.0.0.1:4600/ci'],
    ['all three', { 'x-forwarded-host': 'a.example', 'x-forwarded-proto': 'HTTPS', 'x-forwarded-prefix': '/s' }, 'https://a.example/s'],
    ['more than one host', { 'x-forwarded-host': 'outer.example, inner.example' }, 'http://outer.example'],
    ['it by RFC 7239', { forwarded: 'for=192.0.2.1;host="a.example:81";proto=https, for=10.0.0.1;host=b' }, 'https://a.example:81'],
    ['it by both, of which the standard counts', { forwarded: 'host=a.example', 'x-forwarded-host': 'b.example' }, 'http://a.example'],
    ['half of it by each', { forwarded: 'proto=https', 'x-forwarded-host': 'b.example' }, 'https://b.example'],
  ])('is what a proxy says: %s', async (_what, headers, base) => {
    expect(await said(headers)).toBe(`${base}/api/v1/build/7`);
  }); // prettier-ignore

  it.each([
    ['x-forwarded-host', 'a.example/path'],
    ['x-forwarded-host', 'user@a.example'],
    ['x-forwarded-host', 'a.example:99999'],
    ['x-forwarded-host', 'a.example?x'],
    ['x-forwarded-host', 'a.example#x'],
    ['x-forwarded-host', 'a example'],
    ['x-forwarded-host', String.raw`a.example\b`],
    ['x-forwarded-host', ', a.example'],
    ['x-forwarded-host', 'a'.repeat(300)],
    ['x-forwarded-proto', 'javascript'],
    ['x-forwarded-proto', 'https://'],
    ['x-forwarded-prefix', '//evil.example'],
    ['x-forwarded-prefix', '/a/../b'],
    ['x-forwarded-prefix', 'a'],
    ['x-forwarded-prefix', '/a?b'],
    ['x-forwarded-prefix', '/'],
    ['x-forwarded-prefix', '/%2e%2e'],
    ['forwarded', 'host="a.example/x"'],
    ['forwarded', 'nonsense'],
    ['forwarded', 'host=a;host=b'],
  ])('is not what makes no URL of ours: %s: %s', async (name, value) => {
    expect(await said({ [name]: value })).toBe('http://127.0.0.1:4600/api/v1/build/7');
  });

  it('is a URL with our path at its end, whatever is sent', async () => {
    const value = fc.string({ unit: fc.constantFrom(...Array.from('ab.:/@?#[]\\ ,;="-_%~1')), maxLength: 30 });
    const header = fc.constantFrom('x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-prefix', 'forwarded');
    await fc.assert(
      fc.asyncProperty(fc.dictionary(header, value), async (headers) => {
        const url = new URL(await said(headers));
        expect(['http:', 'https:']).toContain(url.protocol);
        expect(url.pathname.endsWith('/api/v1/build/7')).toBe(true);
        expect(url.username + url.search + url.hash).toBe('');
      }),
      { numRuns: 500 },
    );
  });

  it('is the domain behind API Gateway, whatever the Host header says', async () => {
    const event = apiEvent({ path: '/api/v1/build', headers: { host: 'other.example' } });
    const { body } = await httpHandler(app)(event, {} as Context);
    expect(body).toBe('https://abcdefghij.execute-api.eu-central-1.amazonaws.com/api/v1/build/7');
  });
});

describe('a signed URL of our own', () => {
  const own = 'http://127.0.0.1:4600';
  const base = async (headers: Record<string, string>) => {
    const app = new Hono().get('*', (c) => c.text(externalBase(c)));
    return await (await app.request(`${own}/x`, { headers })).text();
  };

  it('is moved to where the client came in', async () => {
    const outside = await base({ 'x-forwarded-host': 'a.example', 'x-forwarded-prefix': '/s' });
    expect(onSameHost(`${own}/objects/sha256:1?signature=x`, own, outside)).toBe(
      'http://a.example/s/objects/sha256:1?signature=x',
    );
  });

  it('stays where it leads to another host', async () => {
    const outside = await base({ 'x-forwarded-host': 'a.example' });
    for (const url of ['https://bucket.s3.amazonaws.com/x', 'http://127.0.0.1:46000/x', 'http://127.0.0.1:4600.a/x'])
      expect(onSameHost(url, own, outside)).toBe(url);
  });
});
