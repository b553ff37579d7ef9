import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openRecords } from '../../local/records.ts';

/**
 * Fills a small disk with records until writes fail, makes room, writes on, and kills itself. Standard output has one
 * JSON line: the sort keys of the acknowledged writes, how many failed, and whether reads worked on the full disk.
 */
const disk = process.argv[2] ?? '';
const ballast = join(disk, 'ballast');
await writeFile(ballast, Buffer.alloc(28_000_000, 1));
const { records } = await openRecords({ folder: join(disk, 'records') });
const acknowledged: string[] = [];
const failures: string[] = [];

async function write(sort: string): Promise<void> {
  try {
    await records.create({ partition: 'p', sort }, 'x'.repeat(997));
    acknowledged.push(sort);
  } catch (error) {
    failures.push((error as Error).name);
  }
}

for (let count = 0; failures.length < 20; count += 1) await write(`before/${count}`);
const readable = (await records.find({ partition: 'p', sort: 'before/0' })) !== undefined;
await rm(ballast);
const failedWhileFull = failures.splice(0);
for (let count = 0; count < 300; count += 1) await write(`after/${count}`);
const told = JSON.stringify({ acknowledged, failedWhileFull, failedAfter: failures, readable });
process.stdout.write(`${told}\n`, () => process.kill(process.pid, 'SIGKILL'));
