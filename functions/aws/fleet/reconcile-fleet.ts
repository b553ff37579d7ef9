import { setTimeout as wait } from 'node:timers/promises';
import type { ReconcilePorts } from '../../ports/ports.ts';
import { retireTarget, type RetiringParts } from './retire.ts';
import { viewTarget, type ViewingParts } from './view.ts';

export type ReconcileFleetOptions = ViewingParts & Omit<RetiringParts, 'wait'>;

/** The Fleet port as the one that looks every minute asks it: what runs, and an end of what was to be retired. */
export function reconcileFleet(options: ReconcileFleetOptions): ReconcilePorts['fleet'] {
  const waiting = async (ms: number) => await wait(ms);
  return {
    view: async (ref) => await viewTarget(options, ref),
    retire: async (ref) => await retireTarget({ ...options, wait: waiting }, ref),
  };
}
