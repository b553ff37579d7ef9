import type { WorkflowPorts } from '../../ports/ports.ts';
import { discardImage, type DiscardingParts } from './discard.ts';
import { observeRollout } from './observe.ts';
import { refusalOf } from './refuses.ts';
import { revertRollout } from './revert.ts';
import { startRollout, type StartingParts } from './start.ts';
import { viewTarget } from './view.ts';

/**
 * The Fleet port as the steps ask it, on ECS with Elastic Load Balancing. ECS rolls, gates on health and goes back by
 * itself; this says what is to run and tells how it stands. The clients are the caller's (`slowCalls`).
 */
export function workflowFleet(options: StartingParts & DiscardingParts): WorkflowPorts['fleet'] {
  return {
    refuses: async (artifact) => refusalOf(artifact),
    view: async (ref) => await viewTarget(options, ref),
    startRollout: async (ref, input) => await startRollout(options, ref, input),
    observeRollout: async (ref, rolloutId) => await observeRollout(options, ref, rolloutId),
    revertRollout: async (ref, id, reason) => await revertRollout(options, ref, { id, reason }),
    discard: async (artifact) => await discardImage(options, artifact),
  };
}
