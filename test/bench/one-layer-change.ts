import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ociImage, writeFolder, type Files } from '../cli/packages.ts';
import type { Comparison } from './measure.ts';
import { startBuildsService } from './sluice.ts';

const mebibyte = 1024 ** 2;
const layerCount = 8;
const layerBytes = 8 * mebibyte;

/**
 * The KiB that `sluice push` moves when one layer of eight has changed since the image was published, against those
 * that are new: that layer, the configuration and the manifest. What is counted is what TCP carries in both directions,
 * headers and questions included. It counts, and measures no time, so once is enough.
 */
export async function benchOneLayerChange(): Promise<Comparison> {
  const service = await startBuildsService();
  const { server, sluice } = service;
  const proxy = await startCountingProxy(server.url);
  try {
    const layers = Array.from({ length: layerCount }, () => randomBytes(layerBytes));
    const before = ociImage(layers);
    const first = await service.create();
    await sluice(server.url, 'push', first, await writeFolder(join(service.folder, 'before'), before), '--commit');
    await sluice(server.url, 'publish', first, '--no-follow');
    const after = ociImage(layers.with(layerCount / 2, randomBytes(layerBytes)));
    const layout = await writeFolder(join(service.folder, 'after'), after);
    const second = await service.create();
    await sluice(proxy.url, 'push', second, layout);
    const changed = newBytes(before, after);
    return { ours: proxy.bytes() / 1024, theirs: changed / 1024, ratio: proxy.bytes() / changed };
  } finally {
    await proxy.close();
    await service.remove();
  }
}

function newBytes(before: Files, after: Files): number {
  const fresh = [...after].filter(([path]) => path.startsWith('blobs/') && !before.has(path));
  return fresh.reduce((sum, [, bytes]) => sum + bytes.length, 0);
}

/** Counts what passes on its way to a server and back. */
async function startCountingProxy(target: string) {
  const { hostname: host, port } = new URL(target);
  const open = new Set<Socket>();
  let bytes = 0;
  const counting = () =>
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        bytes += chunk.length;
        done(null, chunk);
      },
    });
  const server = createServer((client) => {
    const upstream = connect({ host, port: Number(port) });
    for (const socket of [client, upstream]) open.add(socket.once('close', () => open.delete(socket)));
    // Either side may cut a connection that it needs no more.
    pipeline(client, counting(), upstream, counting(), client).catch(() => {});
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bytes: () => bytes,
    close: async () => {
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, 'close');
    },
  };
}
