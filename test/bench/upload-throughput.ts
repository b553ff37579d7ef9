import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { TransfersView } from '../../functions/api/build-shapes.ts';
import { ociImage, writeFolder } from '../cli/packages.ts';
import type { TestServer } from '../support/server.ts';
import { compare, timed, type Comparison } from './measure.ts';
import { call, startBuildsService } from './sluice.ts';

const mebibyte = 1024 ** 2;
const layerCount = 16;
const layerBytes = 128 * mebibyte;
const size = layerCount * layerBytes;
/** As the server cuts objects of this size. */
const partBytes = 8 * mebibyte;
const parallel = 4;

export type UploadThroughput = { readonly throughput: Comparison; readonly by: string };

/**
 * MiB a second by which `sluice push` brings an image of 2 GiB to a build, from the start of its process to its end,
 * against `curl` putting the same bytes to the same storage: in the same parts, whose URLs it is given and whose bytes
 * lie ready in a file each, as many at once, in one process that keeps its connections. Neither finds anything there.
 */
export async function benchUploadThroughput(pairs: number): Promise<UploadThroughput> {
  const service = await startBuildsService();
  const { server } = service;
  try {
    const curl = await execa('curl', ['--version'], { reject: false });
    const layers = await prepare(service.folder);
    const throughput = await compare(
      pairs,
      async () => {
        const build = await service.create();
        const seconds = await timed(
          async () => await service.sluice(server.url, 'push', build, 'image', '--parallel', String(parallel)),
        );
        await mustBeThere(server, build, layers);
        await service.purge(build);
        return size / mebibyte / seconds;
      },
      async () => {
        const build = await service.create();
        const puts = await putsOf(server, build, layers);
        const put = curl.failed ? putByFetch : putByCurl;
        const seconds = await timed(async () => await put(service.folder, puts));
        await mustBeThere(server, build, layers);
        await service.purge(build);
        return size / mebibyte / seconds;
      },
    );
    return { throughput, by: curl.failed ? 'fetch of Node, as there is no curl' : 'curl' };
  } finally {
    await service.remove();
  }
}

type Layer = { readonly name: string; readonly sizeBytes: number };

/** The image's layout in `image`, and the bytes of each part in `parts`, as `curl` can send no range of a file. */
async function prepare(folder: string): Promise<readonly Layer[]> {
  const files = ociImage(Array.from({ length: layerCount }, () => randomBytes(layerBytes)));
  await writeFolder(join(folder, 'image'), files);
  await mkdir(join(folder, 'parts'));
  const layers: Layer[] = [];
  for (const [path, bytes] of files) {
    if (bytes.length !== layerBytes) continue;
    const name = `${path.split('/').at(-1)}.blob`;
    layers.push({ name, sizeBytes: bytes.length });
    for (let at = 0; at < bytes.length; at += partBytes)
      await writeFile(join(folder, 'parts', `${name}-${at}`), bytes.subarray(at, at + partBytes));
  }
  return layers;
}

type Put = { readonly url: string; readonly file: string };

async function putsOf(server: TestServer, build: string, layers: readonly Layer[]): Promise<readonly Put[]> {
  const { objects } = await call<TransfersView>(server, `build/${build}/uploads`, { objects: layers });
  return objects.flatMap(({ name, parts = [] }) =>
    parts.map(({ url, offsetBytes }) => ({ url, file: `parts/${name}-${offsetBytes}` })),
  );
}

/** Who sends less would be faster. */
async function mustBeThere(server: TestServer, build: string, layers: readonly Layer[]): Promise<void> {
  const { objects } = await call<TransfersView>(server, `build/${build}/uploads`, { objects: layers });
  const lacking = objects.filter(({ missingCount }) => missingCount !== 0);
  if (lacking.length > 0) throw new Error(`${lacking.length} layers are not there whole`);
}

/** Without `Expect`, with which it would ask before each part whether it may send it. */
async function putByCurl(folder: string, puts: readonly Put[]): Promise<void> {
  const lines = puts.map(({ url, file }) => `url = "${url}"\nupload-file = "${file}"\noutput = "answers"\n`);
  await writeFile(join(folder, 'curl.config'), `header = "Expect:"\n${lines.join('')}`);
  const how = ['--parallel', '--parallel-max', String(parallel), '--fail', '--no-progress-meter'];
  await execa('curl', [...how, '--config', 'curl.config'], { cwd: folder });
}

async function putByFetch(folder: string, puts: readonly Put[]): Promise<void> {
  const left = [...puts];
  const sender = async () => {
    for (let put = left.shift(); put; put = left.shift()) {
      const body = await readFile(join(folder, put.file));
      const response = await fetch(put.url, { method: 'PUT', body });
      if (!response.ok) throw new Error(`A part was answered with ${response.status}`);
      await response.text();
    }
  };
  await Promise.all(Array.from({ length: parallel }, sender));
}
