import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { openRecords } from '../../local/records.ts';

const writer = fileURLToPath(new URL('records-full-disk-writer.ts', import.meta.url));
const disk = mkdtempSync(join(tmpdir(), 'sluice-full-'));

/** A disk of 30 MB, where this machine lets us have one. */
function mountSmallDisk(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=30m', 'tmpfs', disk], { stdio: 'ignore' });
    return true;
  } catch {
    rmdirSync(disk);
    return false;
  }
}
const mounted = mountSmallDisk();
afterAll(async () => {
  if (!mounted) return;
  execFileSync('umount', [disk]);
  await rm(disk, { recursive: true });
});

type Told = { acknowledged: string[]; failedWhileFull: string[]; failedAfter: string[]; readable: boolean };

/** The writer always ends by its own SIGKILL. */
async function runWriter(): Promise<Told> {
  return await new Promise((resolve, reject) => {
    execFile(process.execPath, [writer, disk], (error, stdout, stderr) => {
      if (error?.signal === 'SIGKILL' && stdout) resolve(JSON.parse(stdout) as Told);
      else reject(new Error(`The writer ended otherwise: ${stderr}`));
    });
  });
}

describe.skipIf(!mounted)('records on a disk that was full (needs the right to mount a tmpfs)', () => {
  it('refuse writes and answer reads while it is, go on afterwards, and lose nothing at a kill -9', async () => {
    const told = await runWriter();
    expect(told.readable).toBe(true);
    expect(new Set(told.failedWhileFull)).toEqual(new Set(['Problem']));
    expect(told.failedAfter).toEqual([]);
    expect(told.acknowledged.length).toBeGreaterThan(500);
    const { records, close } = await openRecords({ folder: join(disk, 'records') });
    const lost: string[] = [];
    try {
      for (const sort of told.acknowledged) {
        if (!(await records.find({ partition: 'p', sort }))) lost.push(sort);
      }
    } finally {
      // An open file would keep the disk from being unmounted.
      await close();
    }
    expect(lost).toEqual([]);
  });
});
