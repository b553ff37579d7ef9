import { describe, expect, it } from 'vitest';
import { isTransfer } from '../../local/object-routes.ts';

describe('a request that may take long', () => {
  it.each([
    ['PUT', '/objects/sha256:1?signature=x'],
    ['PUT', '/objects/sha256:1/uploads/a/1'],
    ['POST', '/api/v1/build/7/upload'],
    ['POST', '/api/v1/build/7/upload?x'],
  ])('brings objects: %s %s', (method, url) => {
    expect(isTransfer({ method, url })).toBe(true);
  });

  it.each([
    ['GET', '/objects/sha256:1'],
    ['POST', '/api/v1/build/7/uploads'],
    ['POST', '/api/v1/build'],
    ['PUT', '/api/v1/build/7/upload'],
    ['POST', '/webhooks/github'],
  ])('is no other: %s %s', (method, url) => {
    expect(isTransfer({ method, url })).toBe(false);
  });
});
