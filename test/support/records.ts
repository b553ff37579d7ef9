import { openRecords, type OpenRecords } from '../../local/records.ts';
import type { Records } from '../../functions/ports/records.ts';
import type { EpochMs } from '../../functions/runtime/units.ts';

/** Empty records in memory, by the code of both clouds. */
export async function openTestRecords(options: { readonly clock?: () => EpochMs } = {}): Promise<OpenRecords> {
  return await openRecords({ folder: undefined, ...options });
}

/** The same records as an object of its own, for a test to put other operations into. */
export function plainRecords(records: Records): Records {
  return {
    find: async (key) => await records.find(key),
    create: async (key, value, options) => await records.create(key, value, options),
    replace: async (stored, value, options) => await records.replace(stored, value, options),
    remove: async (stored) => await records.remove(stored),
    list: async (query) => await records.list(query),
    ready: async () => await records.ready(),
  };
}
