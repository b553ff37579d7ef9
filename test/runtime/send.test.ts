import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setDefaultCACertificates, getCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { sender } from '../../functions/runtime/send.ts';

type Seen = { readonly method: string | undefined; readonly headers: IncomingHttpHeaders; readonly body: string };

const send = sender({ allowPrivateHosts: true });
const seen: Seen[] = [];
let answer: RequestListener = (_, response) => response.writeHead(204).end();
const listener: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    seen.push({ method: request.method, headers: request.headers, body: Buffer.concat(chunks).toString() });
    answer(request, response);
  });
};
const open = async (server: Server) => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};
const close = async (server: Server | undefined) => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
};
const requestTo = (url: string) => ({ url, headers: { 'x-sluice': 'yes' }, body: '{"ä":1}', timeoutSeconds: 5 });

describe('a call to somewhere outside', () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer(listener);
    port = await open(server);
  });
  afterAll(async () => await close(server));
  afterEach(() => {
    seen.length = 0;
    answer = (_, response) => response.writeHead(204).end();
  });

  it('posts the body as it is with its headers, and tells the status', async () => {
    expect(await send(requestTo(`http://127.0.0.1:${port}/hook?x=1`))).toEqual({ status: 204 });
    expect(seen).toMatchObject([
      {
        method: 'POST',
        body: '{"ä":1}',
        headers: { 'x-sluice': 'yes', 'content-length': '8', 'user-agent': 'sluice' },
      },
    ]);
  });

  it.each([200, 302, 404, 500])('tells the status %i, whatever it is, and goes nowhere else', async (status) => {
    answer = (_, response) => response.writeHead(status, { location: `http://127.0.0.1:${port}/other` }).end('x');
    expect(await send(requestTo(`http://127.0.0.1:${port}/`))).toEqual({ status });
    expect(seen).toHaveLength(1);
  });

  it('has the status though the answer never ends, is endless or breaks off', async () => {
    for (const rest of ['silent', 'endless', 'broken'] as const) {
      answer = (_, response) => {
        response.writeHead(200).flushHeaders();
        if (rest === 'broken') setImmediate(() => response.destroy());
        if (rest === 'endless') pump();
        function pump(): void {
          while (!response.destroyed && response.write(Buffer.alloc(65_536)));
          if (!response.destroyed) response.once('drain', pump);
        }
      };
      expect(await send(requestTo(`http://127.0.0.1:${port}/`))).toEqual({ status: 200 });
    }
  });

  it('ends when no answer comes in time, and says who did not answer but not all of the URL', async () => {
    answer = () => undefined;
    const refused = send({ ...requestTo(`http://127.0.0.1:${port}/s3cret`), timeoutSeconds: 0.2 });
    const message = `http://127.0.0.1:${port} does not answer within 0.2 s`;
    await expect(refused).rejects.toMatchObject({ name: 'Problem', kind: 'busy', message });
  });

  it('says that nobody is there, or that the connection was cut', async () => {
    const closed = createServer();
    const nobody = await open(closed);
    await close(closed);
    const busy = { name: 'Problem', kind: 'busy' };
    await expect(send(requestTo(`http://127.0.0.1:${nobody}/`))).rejects.toMatchObject({
      ...busy,
      message: expect.stringMatching(/^http:\/\/127.0.0.1:\d+ cannot be reached: .*ECONNREFUSED/) as string,
    });
    answer = (request) => request.socket.destroy();
    await expect(send(requestTo(`http://127.0.0.1:${port}/`))).rejects.toMatchObject(busy);
    answer = (request) =>
      request.socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n');
    await expect(send(requestTo(`http://127.0.0.1:${port}/`))).rejects.toMatchObject(busy);
  });

  it.each([
    '127.0.0.1',
    'localhost',
    '[::1]',
    '10.1.2.3',
    '169.254.169.254',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    '0x7f.1',
    '2130706433',
  ])('goes to no host that is not public: %s', async (host) => {
    const careful = sender({ allowPrivateHosts: false });
    await expect(careful(requestTo(`http://${host}:${port}/`))).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringMatching(/is not on the public internet|is not known/) as string,
    });
    expect(seen).toEqual([]);
  });

  it.each(['', 'x', 'ftp://example.com/', 'file:///etc/passwd', 'http://user:pw@127.0.0.1/'])(
    'refuses the URL %j',
    async (url) => {
      await expect(send(requestTo(url))).rejects.toMatchObject({ kind: 'invalid' });
    },
  );

  it('says that a host is not known', async () => {
    await expect(send(requestTo('https://nowhere.invalid/'))).rejects.toMatchObject({
      kind: 'invalid',
      message: 'the host nowhere.invalid is not known',
    });
  });
});

describe('a call by https', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-send-'));
  let server: Server;
  let port: number;
  beforeAll(async () => {
    const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', ...kind, ...name, ...files], { stdio: 'ignore' });
    const [key, cert] = ['key.pem', 'cert.pem'].map((file) => readFileSync(join(folder, file)));
    server = createTlsServer({ key, cert }, listener);
    port = await open(server);
  });
  afterAll(async () => {
    await close(server);
    rmSync(folder, { recursive: true });
  });
  afterEach(() => {
    seen.length = 0;
  });

  it('is not made where nobody trusts the certificate', async () => {
    await expect(send(requestTo(`https://localhost:${port}/`))).rejects.toMatchObject({ kind: 'busy' });
    expect(seen).toEqual([]);
  });

  it('is made where the certificate is good for the name, and for no other name', async () => {
    const trusted = getCACertificates('default');
    setDefaultCACertificates([...trusted, readFileSync(join(folder, 'cert.pem'), 'utf8')]);
    try {
      expect(await send(requestTo(`https://localhost:${port}/`))).toEqual({ status: 204 });
      await expect(send(requestTo(`https://127.0.0.1:${port}/`))).rejects.toMatchObject({
        kind: 'busy',
        message: expect.stringContaining("does not match certificate's altnames") as string,
      });
    } finally {
      setDefaultCACertificates(trusted);
    }
    expect(seen).toHaveLength(1);
  });
});
