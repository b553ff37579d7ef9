import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { ListQuery, Records, Stored } from '../../functions/ports/records.ts';
import { openRecords } from '../../local/records.ts';

const writer = fileURLToPath(new URL('records-writer.ts', import.meta.url));
type Acknowledged = Map<string, number>;

/** Lets a process write, kills it with -9 after so many acknowledged writes, and adds what was acknowledged. */
async function writeAndKill(folder: string, options: { round: number; after: number; acknowledged: Acknowledged }) {
  const child = spawn(process.execPath, [writer, folder, String(options.round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let lines = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const { sort, version } = JSON.parse(line) as { sort: string; version: number };
    options.acknowledged.set(sort, Math.max(version, options.acknowledged.get(sort) ?? 0));
    lines += 1;
    if (lines === options.after) child.kill('SIGKILL');
  }
  const [, signal] = (await exited) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
}

async function listAll(records: Records, query: ListQuery): Promise<Stored<{ version: number }>[]> {
  const items: Stored<{ version: number }>[] = [];
  let after: string | undefined;
  do {
    const page = await records.list<{ version: number }>({ ...query, limit: 1000, ...(after ? { after } : {}) });
    items.push(...page.items);
    after = page.next;
  } while (after);
  return items;
}

describe('records killed with -9 under load', () => {
  it('lose no acknowledged write, and no index entry parts from its record', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-kill-'));
    const acknowledged: Acknowledged = new Map();
    try {
      for (let round = 0; round < 12; round += 1) {
        await writeAndKill(folder, { round, after: 150 + round * 90, acknowledged });
      }
      const { records, close } = await openRecords({ folder });
      const found = await listAll(records, { partition: 'kill' });
      const entries = await listAll(records, { partition: 'open', index: 'open' });
      await close();
      const versions = new Map(found.map(({ key, version }) => [key.sort, version]));
      const lost = [...acknowledged].filter(([sort, version]) => (versions.get(sort) ?? 0) < version);
      expect(acknowledged.size).toBeGreaterThan(500);
      expect(lost).toEqual([]);
      const text = (items: typeof found) => items.map((item) => JSON.stringify(item)).sort();
      expect(text(entries)).toEqual(text(found));
      expect(found.every(({ version, value }) => version === value.version)).toBe(true);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
