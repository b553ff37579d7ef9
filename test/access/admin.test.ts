import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { principalOf, tokenOf, userNameOf } from '../../functions/access/admin.ts';
import { root } from '../../functions/access/principal.ts';

const token = 'b7c1f0a2d3e4';
const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;
const principalBy = (header: string | undefined) => principalOf(tokenOf(header) ?? '', [token]);

describe('the admin token', () => {
  it.each([
    ['a bearer token', `Bearer ${token}`],
    ['a bearer token, whatever its letter case', `bearer  ${token}`],
    ['a password, for Git', basic(`git:${token}`)],
    ['a password without a user name', basic(`:${token}`)],
  ])('is taken as %s', (_what, header) => {
    expect(principalBy(header)).toEqual(root);
  });

  it.each([
    ['nothing', undefined],
    ['an empty header', ''],
    ['a scheme alone', 'Bearer '],
    ['another scheme', `Digest ${token}`],
    ['the token alone', token],
    ['another token', 'Bearer b7c1f0a2d3e5'],
    ['the beginning of the token', `Bearer ${token.slice(0, -1)}`],
    ['more than the token', `Bearer ${token}x`],
    ['two tokens', `Bearer ${token} ${token}`],
    ['the token as the user name', basic(`${token}:`)],
    ['no colon', basic(token)],
    ['an empty pair', basic('')],
    ['what is no base64', 'Basic %%%'],
  ])('is not taken for %s', (_what, header) => {
    expect(principalBy(header)).toBeUndefined();
  });

  it('may be the old one or the new one during a rotation', () => {
    expect(principalOf(token, ['new', token])).toEqual(root);
    expect(principalOf(token, ['new'])).toBeUndefined();
    expect(principalOf(token, [])).toBeUndefined();
  });

  it('is no empty one, where none is set', () => {
    expect(principalOf('', [''])).toBeUndefined();
  });

  it('is not found in any other header', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string().map(basic)), (header) => {
        expect(principalBy(header)).toBeUndefined();
      }),
    );
  });
});

describe('tokenOf', () => {
  it('leaves colons in a password', () => {
    expect(tokenOf(basic('git:a:b'))).toBe('a:b');
  });

  it('takes a long one: a minted token says all that it allows', () => {
    expect(tokenOf(basic(`git:${'a'.repeat(6000)}`))).toBe('a'.repeat(6000));
    expect(tokenOf(`Bearer ${'a'.repeat(6000)}`)).toBe('a'.repeat(6000));
  });
});

describe('userNameOf', () => {
  it('is the plain user name beside a password, and nothing else', () => {
    expect(userNameOf(basic('octocat:x'))).toBe('octocat');
    for (const header of [
      undefined,
      `Bearer ${token}`,
      basic(':x'),
      basic('a b:x'),
      basic('a\nb:x'),
      basic(`${'a'.repeat(101)}:x`),
    ]) {
      expect(userNameOf(header)).toBeUndefined();
    }
  });
});
