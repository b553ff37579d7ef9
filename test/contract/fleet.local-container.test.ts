import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appImage, testEngine } from '../support/docker-image.ts';
import { freePort, targetRef } from '../support/fleet.ts';
import { makeFleet } from '../support/local-fleet.ts';
import { fleetSuite } from './fleet-suite.ts';

const engine = await testEngine();

describe.skipIf(!engine)(`in ${engine?.kind ?? 'a container engine (skipped: none answers on this machine)'}`, () => {
  let image: Awaited<ReturnType<typeof appImage>>;
  beforeAll(async () => {
    if (engine) image = await appImage(engine);
  });
  afterAll(() => image?.dispose());

  fleetSuite('tasks as containers', async () => {
    const data = await mkdtemp(join(tmpdir(), 'sluice-containers-'));
    const { fleet } = await makeFleet({ data, engine, engineEnvironment: process.env });
    await fleet.recover();
    const missing = `sha256:${'0'.repeat(64)}` as const;
    return {
      fleet,
      artifact: image.artifact,
      refusedArtifact: { ...image.artifact, digest: missing, reference: missing },
      newTarget: async (more) => targetRef({ listenPort: await freePort(), ...more }),
      urlOf: (ref) => `http://127.0.0.1:${ref.target.listenPort}`,
      dispose: async () => {
        await fleet.close();
        await rm(data, { recursive: true, force: true });
      },
    };
  });

  it('is an engine', () => {
    expect(engine?.bin).toMatch(/^\//);
  });
});
