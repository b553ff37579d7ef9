import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRecords } from '../../local/records.ts';
import { openTestRecords } from '../support/records.ts';
import { recordsSuite } from './records-suite.ts';

recordsSuite('embedded DynamoDB on disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-records-'));
  const { records, close } = await openRecords({ folder: join(folder, 'records') });
  return {
    port: records,
    async close() {
      await close();
      await rm(folder, { recursive: true });
    },
  };
});

recordsSuite('embedded DynamoDB in memory', async () => {
  const { records, close } = await openTestRecords();
  return { port: records, close };
});
