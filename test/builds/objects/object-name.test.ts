import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findObjectName, parseObjectName } from '../../../functions/builds/objects/object-name.ts';

const hex = '0123456789abcdef'.repeat(4);
const commit = 'e74f8cbdf9848920859be10e67de90d669fada5aaac5874b30eb6cb59cc450a2';
const encoded = (text: string) => Buffer.from(text, 'hex').toString('base64').slice(0, -1).replaceAll('/', '_');

describe('the name of an object', () => {
  it.each(['blob', 'commit', 'dirtree', 'dirmeta'])('is the digest of its bytes, for a %s', (kind) => {
    expect(parseObjectName(`${hex}.${kind}`)).toEqual({ kind, hex, digest: `sha256:${hex}` });
  });

  it('is the checksum of what is packed in it, for a file', () => {
    expect(parseObjectName(`${hex}.filez`)).toEqual({ kind: 'filez', hex });
  });

  it('says of a piece of a delta which commit it leads to, and from which', () => {
    const [from, to] = [commit, hex];
    expect(parseObjectName(`${encoded(to)}.superblock.delta`)).toEqual({
      kind: 'delta',
      from: undefined,
      to,
      piece: 'superblock',
    });
    expect(parseObjectName(`${encoded(from)}-${encoded(to)}.0.delta`)).toEqual({ kind: 'delta', from, to, piece: '0' });
  });

  it.each([
    '',
    hex,
    `${hex}.`,
    `${hex}.file`,
    `${hex}.filez `,
    `${hex}.filez\n`,
    `${hex.toUpperCase()}.filez`,
    `${hex}0.filez`,
    `a/${hex}.filez`,
    `../${hex}.blob`,
    `${'a'.repeat(42)}.0.delta`,
    `${'a'.repeat(43)}.delta`,
    `${'a'.repeat(43)}.part.delta`,
    `${'a'.repeat(43)}/${'a'.repeat(43)}.0.delta`,
    `${'/'.repeat(43)}.0.delta`,
    `${'a'.repeat(43)}.1234567890.delta`,
    'constructor.blob',
  ])('is not %j', (name) => {
    expect(findObjectName(name)).toBeUndefined();
    expect(() => parseObjectName(name)).toThrow(
      / is no name of an object: it must be 64 lower-case hex digits and one/,
    );
  });

  it('is not repeated at length, nor as it stands, where it is none', () => {
    expect(() => parseObjectName('x'.repeat(10_000))).toThrow(/^"x{99}…" is no name/);
    expect(() => parseObjectName('a\n\u001b[31m')).toThrow(String.raw`"a\n\u001b[31m" is no name`);
  });

  it('leads nowhere but to one file, whatever it is', () => {
    const word = fc.constantFrom(hex, '/', '..', '.', '\0', '.blob', '.filez', '.0.delta', '-', encoded(hex), 'a');
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (words) => {
        const name = words.join('');
        const isName = findObjectName(name) !== undefined;
        expect(isName && !/^[\w+-][\w+.-]{44,110}$/.test(name)).toBe(false);
      }),
    );
  });
});
