import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { Registry } from '../../buildspecs/agent/outside.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import { digestOf } from './committed.ts';

/** A registry as the specification has it, which lets in who has the login; tags cannot be moved. */
export async function fakeRegistry() {
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, { body: Buffer; type: string }>();
  const asked: string[] = [];
  const script: { trouble?: (asked: string, response: ServerResponse) => boolean } = {};
  let host = '';

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', `http://${host}`);
    const path = url.pathname.replace('/v2/sluice/web/', '');
    const body = await buffer(request);
    asked.push(`${request.method} ${path}`);
    if (script.trouble?.(`${request.method} ${path}`, response)) return;
    if (request.headers.authorization !== 'Basic bG9naW4=') return void response.writeHead(401).end();
    const name = path.split('/').at(-1) ?? '';
    if (request.method === 'HEAD' && path.startsWith('blobs/')) {
      return void response.writeHead(blobs.has(name) ? 200 : 404).end();
    }
    if (request.method === 'POST') return void response.writeHead(202, { location: `${url.pathname}7?state=a` }).end();
    if (request.method === 'PUT' && path.startsWith('blobs/uploads/7')) {
      const digest = url.searchParams.get('digest') ?? '';
      const isWhole = Number(request.headers['content-length']) === body.byteLength;
      const isGood = isWhole && digestOf(body) === digest && url.searchParams.get('state') === 'a';
      if (!isGood) return void response.writeHead(400).end();
      blobs.set(digest, body);
      return void response.writeHead(201).end();
    }
    if (request.method === 'PUT') {
      if (manifests.has(name)) return void response.writeHead(400).end('{"errors":[{"code":"TAG_INVALID"}]}');
      manifests.set(name, { body, type: request.headers['content-type'] ?? '' });
      return void response.writeHead(201).end();
    }
    const found = manifests.get(name);
    if (!found) return void response.writeHead(404).end();
    response.writeHead(200, { 'docker-content-digest': digestOf(found.body) }).end();
  }

  // A body that breaks off has no answer.
  const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const published = (digest: Digest) => ({ digest, reference: `${host}/sluice/web@${digest}`, sizeBytes: 1 });
  const find = (tag: string) => {
    const body = manifests.get(tag)?.body;
    return body && published(digestOf(body));
  };
  const registry: Registry = {
    server: host,
    repository: `${host}/sluice/web`,
    buildKit: {},
    enter: async () => 'bG9naW4=',
    find: async (tag) => find(tag),
    findPushed: async (tag) => find(tag) ?? published(digestOf('')),
  };
  return {
    host,
    blobs,
    manifests,
    asked,
    script,
    registry,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type FakeRegistry = Awaited<ReturnType<typeof fakeRegistry>>;
