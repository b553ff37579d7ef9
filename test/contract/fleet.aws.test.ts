import type { TaskDefinition } from '@aws-sdk/client-ecs';
import type { TargetRef } from '../../functions/ports/fleet.ts';
import { awsFleet, imageArtifact } from '../support/aws-fleet.ts';
import type { Behaviour } from '../support/ecs-world.ts';
import { fleetSuite } from './fleet-suite.ts';

/** What the fixture app does by its variables, the tasks of the scripted ECS do in their way. */
function behaviourOf({ containerDefinitions = [] }: TaskDefinition): Behaviour {
  const variables = new Map(
    containerDefinitions.flatMap(({ environment = [] }) => environment.map((of) => [of.name, of.value])),
  );
  if (variables.has('CRASH_AFTER_MS')) return 'exits';
  return variables.get('HEALTH_STATUS') === '500' ? 'unhealthy' : 'healthy';
}

/**
 * On the scripted ECS: the emulator of AWS knows no rolling deployment and no target's health. Skipped is what needs
 * real requests (`hasRealTasks`), and what the app's stack owns there (`ownsTargets`).
 */
fleetSuite(
  'services of ECS',
  async () => {
    const { aws, fleet, addTarget, close } = await awsFleet();
    aws.world.settings.behaviour = behaviourOf;
    aws.world.settings.tickMs = 500;
    let targets = 0;
    let images = 0;
    /** Each look finds the world one step further. */
    const passing =
      <Args extends unknown[], Answer>(look: (...args: Args) => Promise<Answer>) =>
      async (...args: Args) => {
        aws.world.tick();
        return await look(...args);
      };
    return {
      fleet: {
        ...fleet,
        view: passing(async (ref: TargetRef) => await fleet.view(ref)),
        observeRollout: passing(async (ref: TargetRef, id: string) => await fleet.observeRollout(ref, id)),
      },
      artifact: imageArtifact,
      refusedArtifact: { ...imageArtifact, reference: imageArtifact.digest },
      newTarget: async (more) => addTarget(`site-${(targets += 1)}`, { target: more ?? {} }).ref,
      newImage: async () => {
        const digest = `sha256:${String((images += 1)).padStart(64, '0')}` as const;
        aws.images.add(`sluice/web@${digest}`);
        return { artifact: { ...imageArtifact, digest }, isThere: async () => aws.images.has(`sluice/web@${digest}`) };
      },
      urlOf: () => 'http://127.0.0.1:9',
      dispose: close,
    };
  },
  {
    hasRealTasks: false,
    hasImages: true,
    ownsTargets: false,
    reasons: {
      unhealthy: /The circuit breaker opened after 2 failed tasks; the last one: Task failed ELB health checks/,
      crashed: /the last one: Essential container in task exited \(web exited with code 7\)/,
    },
  },
);
