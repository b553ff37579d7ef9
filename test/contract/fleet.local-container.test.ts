import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TargetRef } from '../../functions/ports/fleet.ts';
import { appImage, smallImage, testEngine } from '../support/docker-image.ts';
import { freePort, targetRef } from '../support/fleet.ts';
import { makeFleet } from '../support/local-fleet.ts';
import { fleetSuite, thisMachine } from './fleet-suite.ts';

const engine = await testEngine();

describe.skipIf(!engine)(`in ${engine?.kind ?? 'a container engine (skipped: none answers on this machine)'}`, () => {
  let image: Awaited<ReturnType<typeof appImage>>;
  beforeAll(async () => {
    if (engine) image = await appImage(engine);
  });
  afterAll(() => image?.dispose());

  const make = async () => {
    const data = await mkdtemp(join(tmpdir(), 'sluice-containers-'));
    const { fleet } = await makeFleet({ data, engine, engineEnvironment: process.env });
    await fleet.recover();
    if (!engine) throw new Error('no engine answers');
    const missing = `sha256:${'0'.repeat(64)}` as const;
    return {
      fleet,
      artifact: image.artifact,
      refusedArtifact: { ...image.artifact, digest: missing, reference: missing },
      newTarget: async (more?: Partial<TargetRef['target']>) => targetRef({ listenPort: await freePort(), ...more }),
      newImage: async () => await smallImage(engine, [`sluice-web:${randomUUID()}`, `sluice-web:${randomUUID()}`]),
      urlOf: (ref: TargetRef) => `http://127.0.0.1:${ref.target.listenPort}`,
      dispose: async () => {
        await fleet.close();
        await rm(data, { recursive: true, force: true });
      },
    };
  };
  fleetSuite('tasks as containers', make, { ...thisMachine, hasImages: true });

  describe('discarding an image', () => {
    const run = async (...args: string[]) => (await promisify(execFile)(engine?.bin ?? '', args)).stdout.trim();
    let fleet: Awaited<ReturnType<typeof make>>;
    beforeAll(async () => {
      fleet = await make();
    });
    afterAll(async () => await fleet?.dispose());
    const made = async (...tags: string[]) => {
      if (!engine) throw new Error('no engine answers');
      return await smallImage(engine, tags);
    };

    it('is refused, and takes no tag from it, while a container uses it, be it a stopped one', async () => {
      const tags = [`sluice-web:${randomUUID()}`, `sluice-web:${randomUUID()}`];
      const { artifact, isThere } = await made(...tags);
      const container = await run('create', artifact.digest);
      await expect(fleet.fleet.discard(artifact)).rejects.toMatchObject({ kind: 'conflict' });
      for (const tag of tags) expect(await run('images', '--quiet', tag)).not.toBe('');
      await run('rm', container);
      await fleet.fleet.discard(artifact);
      expect(await isThere()).toBe(false);
    });

    it('leaves it for the app, or the person, whose tag it has as well', async () => {
      const [own, others] = [`sluice-web:${randomUUID()}`, `sluice-web2:${randomUUID()}`];
      const { artifact, isThere } = await made(own, others);
      await fleet.fleet.discard(artifact);
      await fleet.fleet.discard(artifact);
      expect(await isThere()).toBe(true);
      expect(await run('images', '--quiet', own)).toBe('');
      expect(await run('images', '--quiet', others)).not.toBe('');
      await fleet.fleet.discard({ ...artifact, app: 'web2' });
      expect(await isThere()).toBe(false);
    });

    it('removes one that lost its tags', async () => {
      const { artifact, isThere } = await made();
      await fleet.fleet.discard(artifact);
      expect(await isThere()).toBe(false);
    });
  });

  it('is an engine', () => {
    expect(engine?.bin).toMatch(/^\//);
  });
});
