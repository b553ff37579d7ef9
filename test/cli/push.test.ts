import { describe, expect, it } from 'vitest';
import { blobsOf, ociImage } from './packages.ts';
import { layers, pushing } from './pushing.ts';

const { service, push, sluice, write } = pushing();

describe('what is told of a push', () => {
  it('is a line for what is large and one at the end, where there is no terminal', async () => {
    const { out } = await push(await write(ociImage(layers)));
    const lines = out.trim().split('\n');
    expect(lines[0]).toBe('Pushing the image to build 7: 5 objects, 4.5 MB.');
    expect(lines.filter((line) => line.endsWith(', done'))).toHaveLength(2);
    expect(lines.at(-2)).toBe('Pushed to build 7: sent 5 objects, 4.5 MB.');
    expect(lines).toHaveLength(5);
  });

  it('is drawn in place on a terminal', async () => {
    const { out } = await sluice(['push', '7', await write(ociImage(layers))], { terminal: true });
    expect(out).toContain('100 %');
    expect(out).toContain('\u001b[');
  });

  it('says when everything is there', async () => {
    const files = ociImage(layers);
    for (const name of blobsOf(files)) service().published.add(name);
    const { out } = await push(await write(files));
    expect(out).toContain('nothing is missing');
    expect(out).toContain('nothing had to be sent; there already: 5');
    expect(service().calls('POST upload')).toHaveLength(0);
  });
});

describe('where a push goes', () => {
  it.each([
    'https://elsewhere.example/api/v1/build/7',
    'http://127.0.0.1:1/api/v1/build/7',
    'other/api/v1/build/7',
    'x',
  ])('refuses %s, and shows it no token', async (text) => {
    const build = text.startsWith('other') ? `${new URL(service().url).origin}/${text}` : text;
    const { code, err } = await sluice(['push', build, 'x']);
    expect(code).toBe(2);
    expect(err).toMatch(/the token is for that server alone|is no build/);
    expect(service().seen).toEqual([]);
  });

  it('shows the token to the API alone, and signed URLs to nobody', async () => {
    service().fault = ({ route, count }) =>
      route === 'PUT part' && count === 1 ? { status: 302, headers: { location: service().url } } : undefined;
    const { code, out, err } = await push(await write(ociImage(layers)));
    expect(code).toBe(0);
    expect(out + err).not.toContain('secret-signature');
    const parts = service().calls('PUT part');
    expect(parts.every(({ headers }) => headers.authorization === undefined && headers['x-signed'] === 'yes')).toBe(
      true,
    );
    expect(
      service()
        .calls('POST upload')
        .every(({ headers }) => headers.authorization === 'Bearer secret-token'),
    ).toBe(true);
  });
});
