import type { RecordKey, Records } from '../ports/records.ts';
import { Problem } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';

/**
 * Keeps pruning and uploading apart. Whoever puts an object that is stored already adds nothing to the store, so pruning
 * could take it for unused in the very moment in which it is named anew. While objects are swept nothing is taken in,
 * and whoever was at it when the sweep began is asked to send again.
 */
type Gate = { readonly sweeps: number; readonly sweepingUntil?: EpochMs };

const key: RecordKey = { partition: 'prune', sort: 'gate' };

type Clocked = { readonly records: Records; readonly clock: () => EpochMs };

/**
 * Whoever takes objects in comes through here first, and says that it has `passed` when it has written down what it took:
 * a sweep that begins from then on sees it. Both throw `Problem('busy')`; after the second what was written down does not
 * count, as a sweep may not have seen it.
 */
export type PassingGate = { readonly passed: () => Promise<void> };

export async function enterGate(ports: Clocked): Promise<PassingGate> {
  const before = await readOpen(ports);
  return {
    passed: async () => {
      if ((await readOpen(ports)) !== before) throw pruning();
    },
  };
}

/** Shuts the gate for so long at most; the number of this sweep opens it again. */
export async function shutGate({ records, clock }: Clocked, forMs: number): Promise<number> {
  for (;;) {
    const stored = await records.find<Gate>(key);
    const sweeps = (stored?.value.sweeps ?? 0) + 1;
    const value = { sweeps, sweepingUntil: clock() + forMs };
    if (await (stored ? records.replace<Gate>(stored, value) : records.create<Gate>(key, value))) return sweeps;
  }
}

/** Opens the gate after a sweep; when another sweep has shut it since, it stays shut. */
export async function openGate({ records }: Pick<Clocked, 'records'>, sweep: number): Promise<void> {
  for (;;) {
    const stored = await records.find<Gate>(key);
    if (stored?.value.sweepingUntil === undefined || stored.value.sweeps !== sweep) return;
    if (await records.replace<Gate>(stored, { sweeps: sweep })) return;
  }
}

async function readOpen({ records, clock }: Clocked): Promise<number> {
  const gate = (await records.find<Gate>(key))?.value;
  if (gate?.sweepingUntil !== undefined && clock() < gate.sweepingUntil) throw pruning();
  return gate?.sweeps ?? 0;
}

function pruning(): Problem {
  return new Problem('busy', 'The storage is being pruned; send it again in a moment');
}
