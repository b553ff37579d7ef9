import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { packTar } from 'modern-tar/fs';
import type { Artifact } from '../../functions/artifacts/artifact.ts';
import { findEngine, type Engine } from '../../local/engine.ts';

const exec = promisify(execFile);

/** The engine of this machine, when there is one that also runs containers we can make here. */
export async function testEngine(): Promise<Engine | undefined> {
  if (process.platform !== 'linux') return undefined;
  return findEngine('auto', process.env);
}

/**
 * The fixture app as an image, made of this very node and the libraries it is linked with, so that nothing has to be
 * pulled. `dispose` removes it.
 */
export async function appImage(engine: Engine): Promise<{ artifact: Artifact; dispose: () => Promise<void> }> {
  const node = await realpath(process.execPath);
  const app = new URL('../fixtures/app/server.mjs', import.meta.url).pathname;
  const files = [...(await program(node, 'usr/bin/node')), await fileSource(app, 'app/server.mjs')];
  const changes = ['ENV PATH=/usr/bin', 'ENV HOST=0.0.0.0', 'CMD ["node", "/app/server.mjs"]'];
  const artifact = artifactOf(await importImage(engine, files, changes));
  return { artifact, dispose: async () => void (await exec(engine.bin, ['rmi', '--force', artifact.digest])) };
}

/** An image of a shell and little more: tests that build on it are quick. */
export async function shellImage(engine: Engine): Promise<{ name: string; dispose: () => Promise<void> }> {
  const programs = [
    ['/bin/sh', 'bin/sh'],
    ...['cat', 'env', 'sleep', 'touch'].map((name) => [`/bin/${name}`, `bin/${name}`]),
  ];
  const files = await Promise.all(
    programs.map(async ([path = '', target = '']) => await program(await realpath(path), target)),
  );
  const once = new Map(files.flat().map((file) => [file.target, file]));
  const id = await importImage(engine, [...once.values()], ['ENV PATH=/bin', 'WORKDIR /app']);
  const name = `sluice-shell:${randomUUID()}`;
  await exec(engine.bin, ['tag', id, name]);
  return { name, dispose: async () => void (await exec(engine.bin, ['rmi', '--force', name])) };
}

/** An image of one small file, another at each call, with these tags. */
export async function smallImage(engine: Engine, tags: readonly string[]) {
  const content = Buffer.from(randomUUID());
  const file = { type: 'content' as const, target: 'id.txt', content, mtime: new Date(0) };
  const artifact = artifactOf(await importImage(engine, [file], ['CMD ["/none"]']));
  for (const tag of tags) await exec(engine.bin, ['tag', artifact.digest, tag]);
  const isThere = async () => {
    return await exec(engine.bin, ['image', 'inspect', artifact.digest]).then(
      () => true,
      () => false,
    );
  };
  return { artifact, isThere };
}

function artifactOf(id: string): Artifact {
  const origin = { kind: 'fetch', buildId: 'b', url: 'https://example.com/image.tar' } as const;
  const digest = `sha256:${id.replace('sha256:', '')}` as const;
  const common = { app: 'web', sizeBytes: 1, origin, createdAt: 0, phases: [] };
  return { ...common, kind: 'image', digest, reference: digest };
}

/** A program with the libraries that it is linked with. */
async function program(path: string, target: string) {
  const { stdout } = await exec('ldd', [path]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? '');
  return await Promise.all([
    fileSource(path, target),
    ...libraries.map((library) => fileSource(library, library.slice(1))),
  ]);
}

async function fileSource(path: string, target: string) {
  const { size } = await stat(path);
  const content = size < 1e6 ? await readFile(path) : createReadStream(path);
  const common = { target, mode: 0o755, mtime: new Date(0) };
  if (content instanceof Uint8Array) return { ...common, type: 'content' as const, content };
  return { ...common, type: 'stream' as const, content, size };
}

async function importImage(engine: Engine, files: Parameters<typeof packTar>[0], changes: readonly string[]) {
  const args = ['import', ...changes.flatMap((change) => ['--change', change]), '-'];
  const child = spawn(engine.bin, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  packTar(files).pipe(child.stdin);
  let output = '';
  for await (const chunk of child.stdout) output += String(chunk);
  const id = output.trim().split('\n').at(-1) ?? '';
  if (!/^(?:sha256:)?[0-9a-f]{64}$/.test(id)) throw new Error('the image could not be made');
  return id;
}
