import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { packTar, type TarEntry } from 'modern-tar';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fetchArtifact } from '../../buildspecs/agent/fetch-artifact.ts';
import type { FetchSpec } from '../../functions/builds/spec.ts';
import { isPublicAddress } from '../../functions/runtime/public-host.ts';
import { makeOutside, type TestOutside } from '../support/outside.ts';

const routes = new Map<string, RequestListener>();
let server: Server;
let base: string;
beforeAll(async () => {
  server = createServer((request, response) => {
    const route = routes.get(request.url ?? '');
    if (route) route(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
const made: TestOutside[] = [];
afterEach(async () => {
  routes.clear();
  for (const outside of made.splice(0)) await outside.remove();
});

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const serve = (path: string, bytes: Uint8Array) => routes.set(path, (_, response) => response.end(bytes));
const redirect = (path: string, location: string) =>
  routes.set(path, (_, response) => response.writeHead(302, { location }).end());
const archiveOf = async (...entries: TarEntry[]) => Buffer.from(await packTar(entries));
const link = (name: string, linkname: string): TarEntry => ({ header: { name, type: 'symlink', linkname, size: 0 } });
const file = (name: string, text = 'x'): TarEntry => ({ header: { name, size: text.length }, body: text });

async function fetched(wanted: Partial<FetchSpec>) {
  const fetch = {
    url: `${base}/app.tar`,
    sha256: '0'.repeat(64),
    artifactKind: 'bundle',
    maxBytes: 1024 * 1024,
    allowPrivateHosts: true,
    tag: 'sluice-web:d1',
    ...wanted,
  } as const;
  const outside = await makeOutside({ kind: 'fetch', fetch });
  made.push(outside);
  await fetchArtifact(outside, fetch);
  return outside;
}
/** Fetches, sees it fail, and that nothing was stored. */
async function refused(wanted: Partial<FetchSpec>): Promise<string> {
  const error: unknown = await fetched(wanted).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ name: 'Problem' });
  expect(made.at(-1)?.kept).toEqual([]);
  return (error as Error).message;
}

describe('an artifact from a URL', () => {
  it('becomes a bundle under the digest that was named, tar or tar.gz', async () => {
    const plain = await archiveOf(file('app.txt', 'hello'), file('lib/a'));
    for (const bytes of [plain, gzipSync(plain)]) {
      serve('/app.tar', bytes);
      const outside = await fetched({ sha256: sha256(bytes) });
      expect(outside.kept).toMatchObject([{ digest: `sha256:${sha256(bytes)}`, sizeBytes: bytes.byteLength }]);
      expect(await readFile(outside.kept[0]?.copy ?? '')).toEqual(bytes);
      expect((await outside.state()).artifact).toMatchObject({ kind: 'bundle', digest: `sha256:${sha256(bytes)}` });
    }
  });

  it('is refused when the bytes have another digest, and both are named', async () => {
    const bytes = await archiveOf(file('app.txt'));
    serve('/app.tar', bytes);
    expect(await refused({})).toBe(
      `fetch.sha256: the URL gives sha256:${sha256(bytes)}, not the digest that was named`,
    );
  });

  it('follows five redirects and no more', async () => {
    const bytes = await archiveOf(file('app.txt'));
    for (let hop = 0; hop < 6; hop++) redirect(`/${hop}`, hop === 5 ? '/app.tar' : `/${hop + 1}`);
    serve('/app.tar', bytes);
    expect((await fetched({ url: `${base}/1`, sha256: sha256(bytes) })).kept).toHaveLength(1);
    expect(await refused({ url: `${base}/0`, sha256: sha256(bytes) })).toContain('redirects more than 5 times');
  });

  it.each([
    ['another protocol', 'file:///etc/passwd', 'expected an http or https URL'],
    ['another protocol', 'ftp://host.example/x', 'expected an http or https URL'],
    ['no URL', 'nothing', 'expected an http or https URL'],
    ['a password', 'http://user:geheim@host.example/x', 'without a user name and password'],
  ])('refuses %s: %s', async (_, url, words) => {
    const message = await refused({ url });
    expect(message).toContain(words);
    expect(message).not.toContain('geheim');
  });

  it('refuses another protocol or a password behind a redirect, too', async () => {
    redirect('/a', 'file:///etc/passwd');
    redirect('/b', 'http://user:geheim@127.0.0.1/');
    expect(await refused({ url: `${base}/a` })).toContain('expected an http or https URL');
    expect(await refused({ url: `${base}/b` })).toContain('without a user name and password');
  });

  it('does not show the query of a URL, which may be a signature', async () => {
    const message = await refused({ url: `${base}/gone?signature=geheim` });
    expect(message).toBe(`fetch.url: ${base}/gone answers with status 404`);
    expect(made.at(-1)?.lines.join()).not.toContain('geheim');
  });

  it.each(['announced', 'not announced'])('is cut off past the size limit, %s', async (how) => {
    routes.set('/app.tar', (_, response) => {
      if (how === 'announced') response.setHeader('content-length', 5000);
      response.write(Buffer.alloc(2500));
      response.end(Buffer.alloc(2500));
    });
    expect(await refused({ maxBytes: 4999 })).toContain('is larger than 4999 bytes');
  });

  it('fails when the connection breaks off', async () => {
    routes.set('/app.tar', (_, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half', () => response.destroy());
    });
    expect(await refused({})).toContain('ended before its end');
  });

  it.each([
    ['no archive', async () => Buffer.from('hello')],
    ['an empty file', async () => Buffer.alloc(0)],
    ['zeros only', async () => Buffer.alloc(2048)],
    ['a broken gzip', async () => Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(100, 7)])],
    ['half an archive', async () => (await archiveOf(file('a', 'x'.repeat(2000)))).subarray(0, 1000)],
    ['a name with dots', async () => await archiveOf(file('../x'))],
    ['an absolute name', async () => await archiveOf(file('/etc/x'))],
    [
      'a link out of it',
      async () => await archiveOf({ header: { name: 'l', type: 'symlink', linkname: '../x', size: 0 } }),
    ],
    [
      'an absolute link',
      async () => await archiveOf({ header: { name: 'l', type: 'symlink', linkname: '/x', size: 0 } }),
    ],
    [
      'a hard link out of it',
      async () => await archiveOf({ header: { name: 'l', type: 'link', linkname: '../x', size: 0 } }),
    ],
    ['a file behind a link', async () => await archiveOf(link('l', '.'), file('l/x'))],
    ['a link by way of another', async () => await archiveOf(link('s/up', '..'), link('l', 's/up/../x'))],
    ['a device', async () => await archiveOf({ header: { name: 'd', type: 'character-device', size: 0 } })],
  ])('is refused as a bundle when it is %s', async (_, make) => {
    const bytes = await make();
    serve('/app.tar', bytes);
    expect(await refused({ sha256: sha256(bytes) })).toMatch(/^fetch: /);
  });

  it('takes what GNU tar makes, links within it included', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-tar-'));
    execFileSync(
      'sh',
      ['-c', 'mkdir -p a/b && echo x > a/b/c && ln -s b/c a/d && ln a/b/c a/e && tar -czf out.tgz a'],
      {
        cwd: folder,
      },
    );
    const bytes = await readFile(join(folder, 'out.tgz'));
    await rm(folder, { recursive: true });
    serve('/app.tar', bytes);
    expect((await fetched({ sha256: sha256(bytes) })).kept).toHaveLength(1);
  });
});

describe('hosts that are not public', () => {
  it('are refused unless allowed, given by address or by name', async () => {
    for (const host of [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '0.0.0.0',
      '169.254.169.254',
      '[::ffff:127.0.0.1]',
      '2130706433',
    ]) {
      expect(await refused({ url: `http://${host}:1/x`, allowPrivateHosts: false })).toContain(
        'is not on the public internet',
      );
    }
  });

  it.each([
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '0.0.0.0',
    '255.255.255.255',
    '224.0.0.1',
    '192.0.2.1',
    '::',
    '::1',
    'fe80::1',
    'fc00::1',
    'fec0::1',
    '4000::1',
    'ff02::1',
    '::ffff:10.0.0.1',
    '64:ff9b::a00:1',
    '2002:a00:1::',
    '2001:0:a00::1',
    '2001:db8::1',
    'nonsense',
    '',
  ])('%s is one', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each(['8.8.8.8', '140.82.121.3', '2606:4700:4700::1111'])('%s is none', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
});
