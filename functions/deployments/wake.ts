import type { Ports } from '../ports/ports.ts';
import type { RecordKey } from '../ports/records.ts';
import type { EpochMs } from '../runtime/units.ts';

/** Who waits for a change of a rollout. `quietUntil`: before then no news is worth a look. */
export type Waiter = { readonly token: string; readonly quietUntil?: EpochMs };

/** No wait is longer than a day by far: what nobody took away by then vanishes by itself. */
const keptMs = 2 * 24 * 3_600_000;

const keyOf = (rolloutId: string): RecordKey => ({ partition: `waiter/${rolloutId}`, sort: 'waiter' });

/** Remembers who waits for a change of a rollout; the newest waiter is the one that counts. */
export async function rememberWaiter(
  ports: Pick<Ports, 'records' | 'clock'>,
  rolloutId: string,
  waiter: Waiter,
): Promise<void> {
  const key = keyOf(rolloutId);
  const options = { expiresAtSeconds: Math.ceil((ports.clock() + keptMs) / 1000) };
  for (;;) {
    const stored = await ports.records.find<Waiter>(key);
    if (await (stored ? ports.records.replace(stored, waiter, options) : ports.records.create(key, waiter, options)))
      return;
  }
}

/**
 * Wakes whoever waits for a change of a rollout; harmless when nobody does, and when it is said twice. News of the cloud
 * wake nobody who wants quiet, and is found when the wait is over; `atOnce`: a person waits.
 */
export async function wakeRollout(
  ports: Pick<Ports, 'records' | 'clock'> & { readonly workflow: Pick<Ports['workflow'], 'resume'> },
  rolloutId: string,
  { atOnce = false }: { readonly atOnce?: boolean } = {},
): Promise<void> {
  const stored = await ports.records.find<Waiter>(keyOf(rolloutId));
  if (!stored || (!atOnce && ports.clock() < (stored.value.quietUntil ?? 0))) return;
  await ports.workflow.resume(stored.value.token, {});
}
