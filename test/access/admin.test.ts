import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authenticate, principalOf, tokenOf, userNameOf } from '../../functions/access/admin.ts';
import { root } from '../../functions/access/principal.ts';
import { Problem } from '../../functions/runtime/errors.ts';

const token = 'b7c1f0a2d3e4';
const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;

describe('authenticate', () => {
  it.each([
    ['a bearer token', `Bearer ${token}`],
    ['a bearer token, whatever its letter case', `bearer  ${token}`],
    ['a password, for Git', basic(`git:${token}`)],
    ['a password without a user name', basic(`:${token}`)],
  ])('takes the token as %s', (_what, header) => {
    expect(authenticate(header, [token])).toEqual(root);
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
  ])('refuses %s', (_what, header) => {
    expect(() => authenticate(header, [token])).toThrow(expect.objectContaining({ kind: 'unauthorized' }));
  });

  it('takes the old token and the new one during a rotation', () => {
    expect(principalOf(token, ['new', token])).toEqual(root);
    expect(principalOf(token, ['new'])).toBeUndefined();
    expect(principalOf(token, [])).toBeUndefined();
  });

  it('refuses everything where no token is set', () => {
    for (const header of ['Bearer ', basic('git:'), basic(':'), undefined]) {
      expect(() => authenticate(header, [''])).toThrow(Problem);
    }
    expect(principalOf('', [''])).toBeUndefined();
  });

  it('throws nothing but a Problem that does not repeat the header', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string().map(basic)), (header) => {
        let thrown: unknown;
        try {
          authenticate(header, [token]);
        } catch (error) {
          thrown = error;
        }
        expect(thrown).toBeInstanceOf(Problem);
        expect(['Give a token: Authorization: Bearer …', 'The token is not valid']).toContain(
          (thrown as Problem).message,
        );
      }),
    );
  });
});

describe('tokenOf', () => {
  it('leaves colons in a password', () => {
    expect(tokenOf(basic('git:a:b'))).toBe('a:b');
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
