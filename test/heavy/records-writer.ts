import { openRecords } from '../../local/records.ts';

/**
 * Writes records until it is killed, and says on standard output what was acknowledged, one JSON line each:
 * `{"sort", "version"}`. Each replace moves the record's index entry.
 */
const [folder, round = '0'] = process.argv.slice(2);
const { records } = await openRecords({ folder: folder ?? '' });
const partition = 'kill';
const entry = (sort: string, version: number) => ({ open: { partition: 'open', sort: `${sort}/${version}` } });

async function write(writer: number): Promise<never> {
  for (let count = 0; ; count += 1) {
    const sort = `${round}/${writer}/${count}`;
    let stored = await records.create({ partition, sort }, { version: 1 }, { indexes: entry(sort, 1) });
    for (let version = 1; version <= 3; version += 1) {
      if (!stored) throw new Error(`The write of ${sort} was refused`);
      process.stdout.write(`${JSON.stringify({ sort, version })}\n`);
      stored = await records.replace(stored, { version: version + 1 }, { indexes: entry(sort, version + 1) });
    }
  }
}
await Promise.all(Array.from({ length: 8 }, async (_, writer) => await write(writer)));
