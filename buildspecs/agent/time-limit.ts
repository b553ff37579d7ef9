import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tooLongReason } from '../../functions/builds/too-long.ts';
import { endDescendants } from './descendants.ts';
import type { Outside } from './outside.ts';

/**
 * Ends this step with all that it has started when the build as a whole has taken longer than it may; a build's time
 * begins with its first step. CodeBuild's own limit is in whole minutes, 5 at least, and says no reason.
 * `end` is called last: it cleans up and leaves. Answers with a function that takes the limit back.
 */
export function limitTime(outside: Outside, now: number, end: () => void): () => void {
  const { spec, work } = outside;
  const began = beginning(join(work.root, 'began'), now);
  const timer = setTimeout(
    () => {
      const reason = tooLongReason(spec);
      outside.print(`Error: ${reason}`);
      // Before anything is ended: the step would else say that its command was killed.
      writeOnce(work.reason, reason);
      endDescendants();
      end();
    },
    Math.max(0, began + spec.timeoutSeconds * 1000 - now),
  );
  return () => clearTimeout(timer);
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
