import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { buildIntoRegistry } from '../../buildspecs/agent/build-into-registry.ts';
import { buildAndPushCommand, copyImageCommand, createBuilderCommand } from '../../buildspecs/agent/buildx-commands.ts';
import { copyIntoRegistry } from '../../buildspecs/agent/copy-into-registry.ts';
import type { PublishedImage, Registry } from '../../buildspecs/agent/outside.ts';
import { sourceSpec } from '../support/builds.ts';
import { makeOutside, type TestOutside } from '../support/outside.ts';

const place = {
  engine: { kind: 'docker', bin: 'docker', buildKit: true },
  cwd: '/work',
  env: { PATH: '/bin' },
} as const;
const image = { dockerfile: 'Dockerfile', context: '.', buildArgs: { A: '1', PATH: '/x' }, tag: 'sluice-web:d1' };
const build = { image, dockerfile: '/s/Dockerfile', context: '/s', labels: { 'sluice.app': 'web' }, idFile: '/i' };

describe('the commands of buildx', () => {
  it('make a builder in a container, of an image that may be named, or use one that runs', () => {
    const args = (buildKit: object) => createBuilderCommand(place, { name: 'b', buildKit }).args;
    const always = ['buildx', 'create', '--name=b', '--bootstrap'];
    expect(args({})).toEqual([...always, '--driver=docker-container']);
    expect(args({ image: 'r/b:1' })).toEqual([...always, '--driver=docker-container', '--driver-opt=image=r/b:1']);
    expect(args({ address: 'tcp://b:1', image: 'x' })).toEqual([...always, '--driver=remote', '--', 'tcp://b:1']);
  });

  it('build, push, attach what it is made of and how, and keep the cache in the registry', () => {
    const into = {
      ...build,
      builder: 'b',
      reference: 'r/sluice/web:d1',
      cache: 'r/sluice/web:cache',
      metadataFile: '/m',
    };
    const command = buildAndPushCommand(place, into);
    expect(command).toEqual({
      file: 'docker',
      cwd: '/work',
      env: { PATH: '/bin', A: '1' },
      args: [
        'buildx',
        'build',
        '--builder=b',
        '--progress=plain',
        '--file=/s/Dockerfile',
        '--output=type=image,name=r/sluice/web:d1,push=true,oci-mediatypes=true',
        '--cache-from=type=registry,ref=r/sluice/web:cache',
        '--cache-to=type=registry,ref=r/sluice/web:cache,mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true',
        '--attest=type=provenance,mode=max',
        '--attest=type=sbom',
        '--metadata-file=/m',
        '--label=sluice.app=web',
        '--build-arg=A',
        '--build-arg=PATH=/x',
        '--',
        '/s',
      ],
    });
    const sbomOf = (sbomScanner: string) =>
      buildAndPushCommand(place, { ...into, sbomScanner }).args.filter((arg) => arg.includes('sbom'));
    expect(sbomOf('r/scan:1')).toEqual(['--attest=type=sbom,generator=r/scan:1']);
    expect(sbomOf('none')).toEqual([]);
  });

  it('copy an image as it is', () => {
    expect(copyImageCommand(place, { from: 'a/b:1', to: 'r/w:d1' }).args).toEqual([
      'buildx',
      'imagetools',
      'create',
      '--prefer-index=false',
      '--progress=plain',
      '--tag=r/w:d1',
      '--',
      'a/b:1',
    ]);
  });
});

const digest = `sha256:${'a'.repeat(64)}` as const;
const published: PublishedImage = { digest, reference: `r/sluice/web@${digest}`, sizeBytes: 7 };

describe('images of a registry', () => {
  const made: TestOutside[] = [];
  afterEach(async () => {
    for (const outside of made.splice(0)) await outside.remove();
  });

  /** An engine's client that does as it is told, and writes down what it was asked and what it could see. */
  async function outsideWith(script: string): Promise<TestOutside & { seen: () => Promise<string[]> }> {
    const source = sourceSpec({ repoUrl: 'https://host.example/a' });
    const outside = await makeOutside({ kind: 'image', source, image });
    made.push(outside);
    const bin = join(outside.work.root, 'docker');
    const log = join(outside.work.root, 'seen');
    const text = `#!/bin/sh
echo "$* | $(stat -c %a "$DOCKER_CONFIG" "$DOCKER_CONFIG/config.json" | tr '\\n' ' ')| $(cat "$DOCKER_CONFIG/config.json")" >> ${log}
${script}
`;
    await mkdir(outside.work.source, { recursive: true });
    await writeFile(bin, text, { mode: 0o755 });
    const seen = async () => (await readFile(log, 'utf8').catch(() => '')).split('\n').filter(Boolean);
    return { ...outside, engine: { kind: 'docker', bin, buildKit: true }, seen };
  }
  function registryWith(overrides: Partial<Registry> = {}): Registry {
    return {
      server: 'r',
      repository: 'r/sluice/web',
      enter: async () => 'QVdTOmxvZ2lu',
      find: async () => undefined,
      findPushed: async () => published,
      buildKit: {},
      ...overrides,
    };
  }
  const metadata = (outside: TestOutside, said: string) =>
    writeFile(join(outside.work.root, 'image.json'), JSON.stringify({ 'containerimage.digest': said }));

  it('are kept by the digest that was pushed; the login is the client’s alone, and gone afterwards', async () => {
    const outside = await outsideWith('true');
    await metadata(outside, digest);
    await buildIntoRegistry(outside, registryWith(), build);
    expect((await outside.state()).artifact).toEqual({ kind: 'image', ...published });
    const seen = await outside.seen();
    expect(seen.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'buildx create',
      'buildx build',
      'buildx rm',
    ]);
    const login = '| 700 600 | {"auths":{"r":{"auth":"QVdTOmxvZ2lu"}}}';
    expect(seen.filter((line) => !line.endsWith(login))).toEqual([]);
    expect(seen.join('\n').split(login).join('')).not.toContain('QVdTOmxvZ2lu');
    expect(await readdir(outside.work.root)).not.toContain('registry');
    expect(outside.lines.join('\n')).not.toContain('QVdTOmxvZ2lu');
  });

  it('are not kept when the tag names another image than was pushed', async () => {
    const outside = await outsideWith('true');
    await metadata(outside, `sha256:${'b'.repeat(64)}`);
    await expect(buildIntoRegistry(outside, registryWith(), build)).rejects.toThrow('names another image');
    expect((await outside.state()).artifact).toBeUndefined();
  });

  it('remove the login and the builder after a failed build, too', async () => {
    const outside = await outsideWith('[ "$2" != build ]');
    await expect(buildIntoRegistry(outside, registryWith(), build)).rejects.toThrow('docker ended with 1');
    expect((await outside.seen()).at(-1)).toMatch(/^buildx rm --force -- sluice-build-/);
    expect(await readdir(outside.work.root)).not.toContain('registry');
  });

  it('say what to do when BuildKit’s image cannot be pulled', async () => {
    const outside = await outsideWith('[ "$2" = create ] && { echo "pulling: no such host" >&2; exit 1; }; true');
    const failed = buildIntoRegistry(outside, registryWith(), build);
    await expect(failed).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringMatching(/no such host.*SLUICE_BUILDKIT_IMAGE/) as string,
    });
    expect(await outside.seen()).toHaveLength(1);
  });

  it('are never pushed twice under one tag: what an earlier attempt has pushed is taken', async () => {
    const earlier = registryWith({ find: async (tag) => (tag === 'd1' ? published : undefined) });
    for (const act of [
      async (outside: TestOutside) => await buildIntoRegistry(outside, earlier, build),
      async (outside: TestOutside) =>
        await copyIntoRegistry(outside, earlier, { reference: 'a/b:1', tag: 'sluice-web:d1' }),
    ]) {
      const outside = await outsideWith('exit 9');
      await act(outside);
      expect((await outside.state()).artifact).toEqual({ kind: 'image', ...published });
      expect(await outside.seen()).toEqual([]);
    }
  });

  it('say why one cannot be copied', async () => {
    const outside = await outsideWith('echo "ERROR: a/b:1: not found" >&2; exit 1');
    const failed = copyIntoRegistry(outside, registryWith(), { reference: 'a/b:1', tag: 'sluice-web:d1' });
    await expect(failed).rejects.toMatchObject({
      kind: 'not-found',
      message: 'The image a/b:1 cannot be copied: ERROR: a/b:1: not found',
    });
  });
});
