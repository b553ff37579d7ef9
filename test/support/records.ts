import { openRecords, type OpenRecords } from '../../local/records.ts';
import type { EpochMs } from '../../functions/runtime/units.ts';

/** Empty records in memory, by the code of both clouds. */
export async function openTestRecords(options: { readonly clock?: () => EpochMs } = {}): Promise<OpenRecords> {
  return await openRecords({ folder: undefined, ...options });
}
