import type { Ports } from '../ports/ports.ts';
import type { RecordKey } from '../ports/records.ts';

const keyOf = (rolloutId: string): RecordKey => ({ partition: `waiter/${rolloutId}`, sort: 'waiter' });

/** Remembers who waits for a change of a rollout; the newest waiter is the one that counts. */
export async function rememberWaiter(ports: Pick<Ports, 'records'>, rolloutId: string, token: string): Promise<void> {
  const key = keyOf(rolloutId);
  for (;;) {
    const stored = await ports.records.find<{ token: string }>(key);
    const value = { token };
    if (await (stored ? ports.records.replace(stored, value) : ports.records.create(key, value))) return;
  }
}

/** Wakes whoever waits for a change of a rollout; harmless when nobody does, and when it is said twice. */
export async function wakeRollout(
  ports: Pick<Ports, 'records'> & { readonly workflow: Pick<Ports['workflow'], 'resume'> },
  rolloutId: string,
): Promise<void> {
  const stored = await ports.records.find<{ token: string }>(keyOf(rolloutId));
  if (stored) await ports.workflow.resume(stored.value.token, {});
}
