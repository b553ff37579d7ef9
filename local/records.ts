import { mkdir } from 'node:fs/promises';
import { tableInput } from '../functions/aws/record-requests.ts';
import { dynamoRecords } from '../functions/aws/records.ts';
import type { Records } from '../functions/ports/records.ts';
import { Problem } from '../functions/runtime/errors.ts';
import type { EpochMs } from '../functions/runtime/units.ts';
import { openEmbeddedDynamo } from './embedded-dynamo.ts';

const tableName = 'sluice';

export type OpenRecords = { readonly records: Records; readonly close: () => Promise<void> };

/**
 * Opens the records kept in a folder (made when absent; undefined: in memory), with the code that works on AWS.
 * Throws `Problem('conflict')` when another process has the folder open.
 */
export async function openRecords(options: {
  readonly folder: string | undefined;
  readonly clock?: () => EpochMs;
}): Promise<OpenRecords> {
  const { folder, clock = Date.now } = options;
  if (folder !== undefined) await mkdir(folder, { recursive: true, mode: 0o700 });
  const dynamo = await openEmbeddedDynamo({ folder, table: tableInput(tableName) }).catch((error: unknown) => {
    throw lockOf(error) ? inUse(folder ?? '', error) : error;
  });
  return { records: dynamoRecords({ calls: dynamo.calls, tableName, clock }), close: dynamo.close };
}

/** Whether LevelDB found its folder locked by a living process; a dead one's lock is no lock. */
function lockOf(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: unknown } };
  return cause?.code === 'LEVEL_LOCKED';
}

function inUse(folder: string, cause: unknown): Problem {
  return new Problem('conflict', `The records in ${folder} are in use by another running server; stop that one first`, {
    cause,
  });
}
