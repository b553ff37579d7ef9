import { describe, expect, it } from 'vitest';
import { ociImage } from './packages.ts';
import { layers, pushing } from './pushing.ts';

const { service, sluice, write } = pushing({ prefix: '/sluice' });

describe('pushing to a server behind a path', () => {
  it('works behind a path prefix, by number and by URL', async () => {
    const image = await write(ociImage(layers));
    expect((await sluice(['push', `${service().url}/api/v1/build/7`, image])).code).toBe(0);
    expect((await sluice(['push', `${service().url}/api/v1/build/7/`, image])).code).toBe(0);
    expect(service().refs.size).toBe(1);
  });

  it('refuses a build beside that path', async () => {
    const beside = `${new URL(service().url).origin}/api/v1/build/7`;
    expect(await sluice(['push', beside, 'x'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('the token is for that server alone'),
    });
    expect(service().seen).toEqual([]);
  });
});
