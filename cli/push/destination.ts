import type { Client, Request } from '../client.ts';
import type { World } from '../world.ts';
import type { Progress } from './progress.ts';
import type { Slots } from './slots.ts';

/** Where a push goes, and what its parts share. */
export type Destination = {
  readonly client: Client;
  readonly world: Pick<World, 'pause'>;
  /** The build's id. */
  readonly build: string;
  /** How many requests that carry bytes there are at once: `slots` keeps to it. */
  readonly parallel: number;
  readonly slots: Slots;
  readonly progress: Progress;
  readonly signal: AbortSignal;
};

/** How a request of a push is made: again and again, as a push may last as long as the network takes to come back. */
export function patient(
  { progress }: Pick<Destination, 'progress'>,
  signal: AbortSignal,
): Pick<Request, 'idempotent' | 'patienceSeconds' | 'timeoutSeconds' | 'onRetry' | 'signal'> {
  return { idempotent: true, patienceSeconds, timeoutSeconds, onRetry: progress.waiting, signal };
}

export const patienceSeconds = 300;
/** Long enough for 8 MiB over a slow line. */
export const timeoutSeconds = 300;
