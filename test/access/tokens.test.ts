import { createHmac, hkdfSync } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allClaims } from '../../functions/access/claims.ts';
import { signToken, verifyToken, type VerifiedToken } from '../../functions/access/tokens.ts';

const rootToken = 'the-admin-token-of-these-tests';
const now = 1_700_000_000_000;
const seconds = now / 1000;
const given: VerifiedToken = {
  jti: 'j1',
  name: 'admin/ci',
  claims: {
    sub: 'build/7',
    scope: ['upload'],
    prefixes: ['org.acme'],
    apps: ['web'],
    repos: ['dev'],
    environments: [''],
    branches: [],
  },
  parents: ['p1', 'p2'],
  expiresAtSeconds: seconds + 60,
};

const key = (token: string) => Buffer.from(hkdfSync('sha256', token, '', 'sluice token v1', 32));
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
/** A token made by hand, by whoever has that key. */
function forged(
  payload: object,
  header: object = { alg: 'HS256', typ: 'JWT' },
  secret: Buffer = key(rootToken),
): string {
  const text = `${part(header)}.${part(payload)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}
const payload = {
  sub: 'build',
  exp: seconds + 60,
  iat: seconds,
  name: 'admin/x',
  jti: 'j1',
  parents: [],
  scope: ['build'],
  prefixes: [''],
  apps: [],
  repos: [''],
  environments: [''],
  branches: [''],
};

describe('a token', () => {
  it('says what it was made for, until its time is over', async () => {
    const token = await signToken([rootToken], given, now);
    expect(await verifyToken([rootToken], token, now)).toEqual(given);
    expect(await verifyToken([rootToken], token, now + 59_999)).toEqual(given);
    expect(await verifyToken([rootToken], token, now + 60_000)).toBeUndefined();
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  it('is a JWT with the claims of flat-manager and ours', async () => {
    const [, body = ''] = (
      await signToken([rootToken], { ...given, claims: { ...given.claims, tokenType: 'app' } }, now)
    ).split('.');
    expect(JSON.parse(Buffer.from(body, 'base64url').toString())).toEqual({
      sub: 'build/7',
      exp: seconds + 60,
      iat: seconds,
      name: 'admin/ci',
      jti: 'j1',
      parents: ['p1', 'p2'],
      scope: ['upload'],
      prefixes: ['org.acme'],
      apps: ['web'],
      repos: ['dev'],
      environments: [''],
      branches: [],
      token_type: 'app',
    });
  });

  it('is signed by the first admin token, and good as long as that one is', async () => {
    const token = await signToken(['new', rootToken], given, now);
    expect(await verifyToken([rootToken, 'new'], token, now)).toEqual(given);
    expect(await verifyToken([rootToken], token, now)).toBeUndefined();
    expect(await verifyToken([''], token, now)).toBeUndefined();
    expect(await verifyToken([], token, now)).toBeUndefined();
  });

  it('is never signed by an empty admin token', async () => {
    await expect(signToken([''], given, now)).rejects.toMatchObject({ kind: 'unsupported' });
    expect(await verifyToken([''], forged(payload, undefined, key('')), now)).toBeUndefined();
  });

  it('that would be too long for a header is refused', async () => {
    const apps = Array.from({ length: 60 }, (_, at) => `${'a'.repeat(100)}${at}`);
    await expect(signToken([rootToken], { ...given, claims: { ...given.claims, apps } }, now)).rejects.toMatchObject({
      kind: 'invalid',
    });
  });
});

describe('what is no token of ours', () => {
  it('is made by hand as these are, and the whole one is good', async () => {
    expect(await verifyToken([rootToken], forged(payload), now)).toMatchObject({ jti: 'j1', name: 'admin/x' });
  });

  it.each([
    ['without a signature', `${part({ alg: 'none' })}.${part(payload)}.`],
    ['with alg none and a signature', forged(payload, { alg: 'none' })],
    ['with another algorithm', forged(payload, { alg: 'HS512', typ: 'JWT' })],
    ['with an algorithm of another kind', forged(payload, { alg: 'RS256', typ: 'JWT' })],
    ['with a critical header', forged(payload, { alg: 'HS256', crit: ['x'], x: 1 })],
    ['signed by the admin token itself', forged(payload, undefined, Buffer.from(rootToken))],
    ['signed by another key', forged(payload, undefined, key('another'))],
    ['without an end', forged({ ...payload, exp: undefined })],
    ['with an end in words', forged({ ...payload, exp: 'never' })],
    ['with an end that is over', forged({ ...payload, exp: seconds })],
    ['that begins later', forged({ ...payload, nbf: seconds + 10 })],
    ['without an id', forged({ ...payload, jti: undefined })],
    ['with an empty id', forged({ ...payload, jti: '' })],
    ['without a sub', forged({ ...payload, sub: undefined })],
    ['without its lists', forged({ ...payload, repos: undefined })],
    ['with a text for a list', forged({ ...payload, scope: 'build' })],
    ['with more parents than there can be', forged({ ...payload, parents: Array.from({ length: 17 }, String) })],
    ['that is no object', forged([payload])],
    ['with a piece more', `${forged(payload)}.x`],
    ['in another alphabet', forged(payload).replace('.', '+.')],
  ])('%s', async (_what, token) => {
    expect(await verifyToken([rootToken], token, now)).toBeUndefined();
  });

  it('whatever it is', async () => {
    const good = forged(payload);
    const changed = fc
      .tuple(fc.nat(good.length - 1), fc.constantFrom(...Array.from('abcXYZ019-_.')))
      .map(([at, letter]) => good.slice(0, at) + letter + good.slice(at + 1))
      // The last letter of a signature has bits that mean nothing.
      .filter((token) => token.slice(0, -1) !== good.slice(0, -1));
    await fc.assert(
      fc.asyncProperty(fc.oneof(changed, fc.string(), fc.constant('a'.repeat(20_000))), async (token) => {
        expect(await verifyToken([rootToken], token, now)).toBeUndefined();
      }),
    );
  });
});

describe('the claims of the admin token', () => {
  it('travel whole', async () => {
    const token = await signToken([rootToken], { ...given, claims: allClaims }, now);
    expect((await verifyToken([rootToken], token, now))?.claims).toEqual(allClaims);
  });
});
