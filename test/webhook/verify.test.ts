import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSigned } from '../../functions/webhook/verify.ts';
import { signatureOf } from './delivery-of.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('isSigned', () => {
  it("agrees with GitHub's own example", () => {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
    const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
    expect(isSigned(bytes('Hello, World!'), signature, ["It's a Secret to Everybody"])).toBe(true);
  });

  it('takes the old secret and the new one during a rotation, and then the old one no more', () => {
    const signed = signatureOf('{}', 'old');
    expect(isSigned(bytes('{}'), signed, ['new', 'old'])).toBe(true);
    expect(isSigned(bytes('{}'), signed, ['new'])).toBe(false);
    expect(isSigned(bytes('{}'), signed, [])).toBe(false);
  });

  it('takes every body with its own signature, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string({ minLength: 1 }), (body, secret) => {
        expect(isSigned(body, signatureOf(body, secret), [secret])).toBe(true);
      }),
    );
  });

  it('refuses a body in which one bit is another', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(), fc.nat(7), (body, at, bit) => {
        const signature = signatureOf(body);
        const tampered = Uint8Array.from(body);
        const index = at % body.length;
        tampered[index] = (tampered[index] ?? 0) ^ (1 << bit);
        expect(isSigned(tampered, signature, ['It is a secret to everybody'])).toBe(false);
      }),
    );
  });

  it("refuses a signature in which one digit is another, or that is another secret's", () => {
    const body = bytes('{}');
    const signature = signatureOf(body);
    for (let at = 7; at < signature.length; at++) {
      const digit = signature[at] === '0' ? '1' : '0';
      expect(
        isSigned(body, signature.slice(0, at) + digit + signature.slice(at + 1), ['It is a secret to everybody']),
      ).toBe(false);
    }
    expect(isSigned(body, signatureOf(body, 'another'), ['It is a secret to everybody'])).toBe(false);
  });

  it('refuses every malformed header', () => {
    const body = bytes('{}');
    const hex = signatureOf(body, 's').slice(7);
    const wrong = [
      undefined,
      null,
      '',
      'sha256=',
      hex,
      `sha1=${hex}`,
      `sha256=${hex} `,
      `sha256=${hex}00`,
      `sha256=${hex.slice(2)}`,
      `sha256=${'z'.repeat(64)}`,
      `sha256=${hex},sha256=${hex}`,
    ];
    for (const header of wrong) expect(isSigned(body, header, ['s'])).toBe(false);
    expect(isSigned(body, `sha256=${hex}`, ['s'])).toBe(true);
    fc.assert(
      fc.property(fc.string(), (header) => {
        expect(isSigned(body, header, ['s'])).toBe(false);
      }),
    );
  });

  it('takes nothing where the secret is empty', () => {
    expect(isSigned(bytes('{}'), signatureOf('{}', ''), [''])).toBe(false);
  });
});
