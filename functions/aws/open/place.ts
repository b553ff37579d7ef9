import type { Records } from '../../ports/records.ts';
import type { EpochMs } from '../../runtime/units.ts';

/** What the parts of one installation are opened with. Clients take region and credentials from the environment. */
export type Place = {
  readonly prefix: string;
  readonly table: string;
  readonly bucket: string;
  readonly stateMachineArn: string;
  readonly jobMachineArn: string;
  readonly clock: () => EpochMs;
};
export type PlaceWithRecords = Place & { readonly records: Records };
