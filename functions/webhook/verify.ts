import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Whether the signature of a delivery (`X-Hub-Signature-256`) is the HMAC-SHA256 of its raw body; compares in constant
 * time. A missing or malformed header is a wrong one, and with an empty secret nothing is right. During a rotation
 * there are two secrets.
 * https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 */
export function isSigned(
  rawBody: Uint8Array,
  signature: string | null | undefined,
  secrets: readonly string[],
): boolean {
  const [, hex] = /^sha256=([0-9a-f]{64})$/i.exec(signature ?? '') ?? [];
  if (hex === undefined) return false;
  const given = Buffer.from(hex, 'hex');
  const isRight = secrets.map(
    (secret) => secret !== '' && timingSafeEqual(createHmac('sha256', secret).update(rawBody).digest(), given),
  );
  return isRight.includes(true);
}
