import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fleetSuite } from './fleet-suite.ts';
import { makeFleet } from '../support/local-fleet.ts';
import { bundleArtifact, freePort, targetRef } from '../support/fleet.ts';

fleetSuite('tasks as processes of this machine', async () => {
  const data = await mkdtemp(join(tmpdir(), 'sluice-fleet-'));
  const { fleet, artifact } = await makeFleet({ data });
  await fleet.recover();
  return {
    fleet,
    artifact,
    refusedArtifact: { ...bundleArtifact(artifact.digest), kind: 'image' },
    newTarget: async (more) => targetRef({ listenPort: await freePort(), ...more }),
    urlOf: (ref) => `http://127.0.0.1:${ref.target.listenPort}`,
    dispose: async () => {
      await fleet.close();
      await rm(data, { recursive: true, force: true });
    },
  };
});
