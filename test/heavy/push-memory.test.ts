import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BuildsService } from '../cli/builds-service.ts';
import { Layout, noise, writeFolder } from '../cli/packages.ts';

const launcher = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url));
const mebibyte = 1024 ** 2;
/** Says at its end how much memory the process had at most, in kilobytes. */
const tellMemory =
  "data:text/javascript,process.on('exit',()=>process.stderr.write('\\nmaxRSS '+process.resourceUsage().maxRSS))";

let service: BuildsService;
let folder: string;
beforeEach(async () => {
  service = await new BuildsService().start();
  Object.assign(service, { forgetsParts: true, partBytes: 8 * mebibyte });
  folder = await mkdtemp(join(tmpdir(), 'sluice-push-memory-'));
});
afterEach(async () => {
  await service.close();
  await rm(folder, { recursive: true, force: true });
});

/** An OCI layout of one layer of so many mebibytes, which is written in pieces. */
async function imageOf(mebibytes: number): Promise<string> {
  const root = join(folder, `image-${mebibytes}`);
  const layout = new Layout();
  const blobs = join(root, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const piece = noise('layer', mebibyte);
  const hash = createHash('sha256');
  for (let index = 0; index < mebibytes; index++) hash.update(numbered(piece, index));
  const digest = hash.digest('hex');
  const file = await open(join(blobs, digest), 'w');
  for (let index = 0; index < mebibytes; index++) await file.write(numbered(piece, index));
  await file.close();
  const layer = {
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest: `sha256:${digest}`,
    size: mebibytes * mebibyte,
  };
  await writeFolder(root, layout.top([layout.imageOf([layer])]));
  return root;
}

function numbered(piece: Buffer, index: number): Buffer {
  piece.writeUInt32LE(index, 0);
  return piece;
}

async function memoryOfPush(path: string): Promise<number> {
  const env = { ...process.env, SLUICE_URL: service.url, SLUICE_TOKEN: 't' };
  const child = spawn(process.execPath, ['--import', tellMemory, launcher, 'push', '7', path], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let err = '';
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  expect({ code, err }).toMatchObject({ code: 0 });
  return Number(/maxRSS (\d+)/.exec(err)?.[1]) / 1024;
}

describe('a push of a large image', () => {
  it('takes no more memory than that of one a quarter of its size, and far less than its size', async () => {
    const small = await memoryOfPush(await imageOf(150));
    const large = await memoryOfPush(await imageOf(600));
    expect(service.calls('PUT part')).toHaveLength(19 + 75);
    expect(large).toBeLessThan(320);
    expect(large - small).toBeLessThan(80);
  });
});
