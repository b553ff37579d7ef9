import { readFile } from 'node:fs/promises';

/** The middle of some figures. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(middle)] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** Seconds that some work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return (performance.now() - from) / 1000;
}

export type Comparison = { readonly ours: number; readonly theirs: number; readonly ratio: number };

/**
 * Runs two things in turn, A B A B …, so that a machine that slows down slows both; the ratio is the median of the
 * pairs' ratios. The first pair warms up and is not counted.
 */
export async function compare(
  pairs: number,
  ours: () => Promise<number>,
  theirs: () => Promise<number>,
): Promise<Comparison> {
  const seen: { ours: number; theirs: number }[] = [];
  for (let pair = 0; pair <= pairs; pair += 1) {
    // Whoever goes second may profit from the first: they take turns.
    const first = pair % 2 === 0;
    const one = first ? await ours() : await theirs();
    const other = first ? await theirs() : await ours();
    if (pair > 0) seen.push(first ? { ours: one, theirs: other } : { ours: other, theirs: one });
  }
  return {
    ours: median(seen.map((pair) => pair.ours)),
    theirs: median(seen.map((pair) => pair.theirs)),
    ratio: median(seen.map((pair) => pair.ours / pair.theirs)),
  };
}

/** The resident memory of a process, in MiB. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}
