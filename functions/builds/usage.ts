import type { RecordKey, Records } from '../ports/records.ts';

/** How many bytes an app has put here: counted as they come, set right by each pruning. */
type Usage = { readonly bytes: number };

const keyOf = (app: string): RecordKey => ({ partition: `usage/${app}`, sort: 'usage' });

export async function usedBytes(records: Records, app: string): Promise<number> {
  return (await records.find<Usage>(keyOf(app)))?.value.bytes ?? 0;
}

/** Counts bytes that came (or, below 0, went); `check` is asked with the sum and may refuse it by throwing. */
export async function countBytes(
  records: Records,
  app: string,
  counted: { readonly bytes: number; readonly check?: (bytes: number) => void },
): Promise<void> {
  const key = keyOf(app);
  for (;;) {
    const stored = await records.find<Usage>(key);
    const bytes = Math.max(0, (stored?.value.bytes ?? 0) + counted.bytes);
    counted.check?.(bytes);
    if (await (stored ? records.replace(stored, { bytes }) : records.create(key, { bytes }))) return;
  }
}

/** Sets what was counted to what was found. */
export async function setUsedBytes(records: Records, app: string, bytes: number): Promise<void> {
  await countBytes(records, app, { bytes: bytes - (await usedBytes(records, app)) });
}
