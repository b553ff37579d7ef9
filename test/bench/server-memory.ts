import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage, type RequestOptions } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { TransfersView } from '../../functions/api/build-shapes.ts';
import { startTestServer, testToken, type TestServer } from '../support/server.ts';
import { median, residentMiB } from './measure.ts';

const gigabyte = 1e9;
const gigabytes = 4;
/** The same bytes again and again: the server holds each piece of them anew. */
const chunk = randomBytes(1024 ** 2);
const parallel = 4;
const sampleEveryMs = 50;

/** MiB of resident memory; `first` and `last`: the medians while the second and the last gigabyte passed. */
export type MemoryOfTransfer = {
  readonly way: string;
  readonly before: number;
  readonly highest: number;
  readonly second: number;
  readonly last: number;
  /** MiB a gigabyte, from 1 GB to 4 GB. */
  readonly slope: number;
  readonly seconds: number;
};

/**
 * The resident memory of the server while 4 GB pass through it: in parts of 8 MiB by presigned URLs, four at once, and
 * as one object in one form. Each by a server of its own.
 */
export async function benchServerMemory(): Promise<readonly MemoryOfTransfer[]> {
  return [
    await measured('presigned parts, four at once', sendParts),
    await measured('one object in one form', sendForm),
  ];
}

type Sending = { readonly server: TestServer; readonly build: number; readonly passed: (bytes: number) => void };

async function measured(way: string, send: (sending: Sending) => Promise<void>): Promise<MemoryOfTransfer> {
  const server = await startTestServer({ env: { LOG_LEVEL: 'error', SLUICE_RATE_PER_MINUTE: '1000000' } });
  try {
    const { body } = await server.api<{ id: number }>('POST', '/api/v1/build', { repo: 'stable' });
    await pause(5000);
    const samples: { readonly gigabytes: number; readonly mebibytes: number }[] = [];
    const pid = server.child.pid ?? 0;
    const before = await residentMiB(pid);
    let bytes = 0;
    const sample = async () => samples.push({ gigabytes: bytes / gigabyte, mebibytes: await residentMiB(pid) });
    const timer = setInterval(() => void sample(), sampleEveryMs);
    const began = performance.now();
    await send({ server, build: body.id, passed: (more) => (bytes += more) });
    const seconds = (performance.now() - began) / 1000;
    clearInterval(timer);
    await sample();
    const within = (from: number, to: number) => samples.filter((at) => at.gigabytes >= from && at.gigabytes <= to);
    const mebibytes = (from: number, to: number) => median(within(from, to).map((at) => at.mebibytes));
    return {
      way,
      before,
      highest: Math.max(...samples.map((at) => at.mebibytes)),
      second: mebibytes(1, 2),
      last: mebibytes(gigabytes - 1, gigabytes),
      slope: slopeOf(within(1, gigabytes).map((at) => [at.gigabytes, at.mebibytes])),
      seconds,
    };
  } finally {
    await server.remove();
  }
}

/** Of the straight line that comes nearest to the points. */
function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (of: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean(([at]) => at), mean(([, value]) => value)];
  return mean(([at, value]) => (at - x) * (value - y)) / mean(([at]) => (at - x) ** 2);
}

async function sendParts({ server, build, passed }: Sending): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: parallel });
  for (let object = 0; object < gigabytes; object += 1) {
    const wanted = { objects: [{ name: `${randomBytes(32).toString('hex')}.blob`, sizeBytes: gigabyte }] };
    for (;;) {
      const { body } = await server.api<TransfersView>('POST', `/api/v1/build/${build}/uploads`, wanted);
      const parts = [...(body.objects[0]?.parts ?? [])];
      if (parts.length === 0) break;
      const sender = async () => {
        for (let part = parts.shift(); part; part = parts.shift()) {
          const pieces = piecesOf(part.sizeBytes, passed);
          await answered(part.url, { method: 'PUT', agent, headers: { 'content-length': part.sizeBytes } }, pieces);
        }
      };
      await Promise.all(Array.from({ length: parallel }, sender));
    }
  }
  agent.destroy();
}

async function sendForm({ server, build, passed }: Sending): Promise<void> {
  const size = gigabytes * gigabyte;
  const hash = createHash('sha256');
  for (const piece of piecesOf(size, () => {})) hash.update(piece);
  const head = Buffer.from(
    `--bench\r\nContent-Disposition: form-data; name="file0"; filename="${hash.digest('hex')}.blob"\r\n\r\n`,
  );
  const end = Buffer.from('\r\n--bench--\r\n');
  const headers = {
    authorization: `Bearer ${testToken}`,
    'content-type': 'multipart/form-data; boundary=bench',
    'content-length': head.length + size + end.length,
  };
  const form = function* () {
    yield head;
    yield* piecesOf(size, passed);
    yield end;
  };
  await answered(`${server.url}/api/v1/build/${build}/upload`, { method: 'POST', headers }, form());
}

function* piecesOf(sizeBytes: number, passed: (bytes: number) => void): Generator<Buffer> {
  for (let left = sizeBytes; left > 0; left -= chunk.length) {
    const piece = left < chunk.length ? chunk.subarray(0, left) : chunk;
    yield piece;
    passed(piece.length);
  }
}

async function answered(url: string, options: RequestOptions, body: Iterable<Buffer>): Promise<void> {
  const sent = request(url, options);
  Readable.from(body, { objectMode: false }).pipe(sent);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const text = (await response.setEncoding('utf8').toArray()).join('');
  if (response.statusCode !== 200) throw new Error(`It was answered with ${response.statusCode}: ${text}`);
}
