import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tooLongReason } from '../../functions/builds/too-long.ts';
import { endDescendants } from './descendants.ts';
import type { Outside } from './outside.ts';

/** So long a step may take to clean up after its commands were ended; then it is left as it is. */
const graceMs = 10_000;

/**
 * Ends what this step has started when the build as a whole has taken longer than it may; the step then fails by
 * itself, and if it does not, `leave` is called. A build's time begins with its first step. CodeBuild's own limit is in
 * whole minutes, 5 at least, and gives no reason. The answer takes the limit back and says whether it was passed.
 */
export function limitTime(outside: Outside, now: number, leave: () => void): () => boolean {
  const { spec, work } = outside;
  const began = beginning(join(work.root, 'began'), now);
  let passed = false;
  const end = () => {
    passed = true;
    outside.print(`Error: ${tooLongReason(spec)}`);
    // Before anything is ended: the first reason counts, and the step will say that its command was killed.
    writeOnce(work.reason, tooLongReason(spec));
    endDescendants();
    timer = setTimeout(leave, graceMs);
  };
  let timer = setTimeout(end, Math.max(0, began + spec.timeoutSeconds * 1000 - now));
  return () => {
    clearTimeout(timer);
    return passed;
  };
}

function beginning(file: string, now: number): number {
  writeOnce(file, String(now));
  return Number(readFileSync(file, 'utf8'));
}

function writeOnce(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx' });
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
  }
}
