import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findEngine } from '../../local/engine.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-engine-'));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

/** Clients that answer as told: a script per name, in folders that are searched in order. */
async function machine(...clients: readonly { name: 'docker' | 'podman'; script: string }[]) {
  const folders: string[] = [];
  for (const [index, { name, script }] of clients.entries()) {
    const place = join(folder, String(index));
    await mkdir(place);
    await writeFile(join(place, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    folders.push(place);
  }
  return { PATH: folders.join(':') };
}
const docker = (client: string, options: { buildx?: boolean; api?: string } = {}) => ({
  name: 'docker' as const,
  script: `case "$1" in
    version) echo "${client} ${options.api ?? '1.41'}" ;;
    buildx) exit ${options.buildx ? 0 : 1} ;;
  esac`,
});
const silent = { name: 'docker', script: 'echo "Cannot connect to the Docker daemon" >&2; exit 1' } as const;
const podman = { name: 'podman', script: '[ "$1" = info ] && echo {}' } as const;

describe('the container engine', () => {
  it.each([
    ['an old client has BuildKit inside', docker('20.10.24+dfsg1'), true],
    ['an old daemon has none', docker('20.10.24', { api: '1.30' }), false],
    ['a new client without buildx has none', docker('28.2.2'), false],
    ['a new client with buildx has it', docker('28.2.2', { buildx: true }), true],
  ])('is Docker: %s', async (_, client, buildKit) => {
    const env = await machine(client);
    expect(await findEngine('auto', env)).toEqual({ kind: 'docker', bin: join(folder, '0', 'docker'), buildKit });
  });

  it('is the client that can build with BuildKit, where there are several', async () => {
    const env = await machine(silent, docker('28.2.2'), docker('20.10.24'));
    expect(await findEngine('docker', env)).toEqual({ kind: 'docker', bin: join(folder, '2/docker'), buildKit: true });
  });

  it('is the first client that answers, where none has BuildKit', async () => {
    const env = await machine(silent, docker('28.2.2'), docker('29.0.0'));
    expect(await findEngine('auto', env)).toMatchObject({ bin: join(folder, '1/docker'), buildKit: false });
  });

  it('is Podman where only that works', async () => {
    expect(await findEngine('auto', await machine(silent, podman))).toMatchObject({ kind: 'podman', buildKit: false });
  });

  it('is none where none works, or none is wanted', async () => {
    expect(await findEngine('auto', { PATH: folder })).toBeUndefined();
    expect(await findEngine('auto', {})).toBeUndefined();
    expect(await findEngine('process', await machine(docker('20.10.24')))).toBeUndefined();
  });

  it('is missed when Docker is asked for and only Podman is there', async () => {
    await expect(findEngine('docker', await machine(silent, podman))).rejects.toMatchObject({
      name: 'Problem',
      kind: 'unsupported',
      message: expect.stringContaining('no Docker daemon answers') as string,
    });
  });
});
