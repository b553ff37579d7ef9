/**
 * Tests that kill at every point try each `KILL_EVERY`-th, and those that make up what happens make it `CHAOS_RUNS` times.
 * Where neither is said, few are tried, so that `npm test` stays short; `npm run test:heavy` says more.
 */
export const killEvery = (unless: number): number => Number(process.env['KILL_EVERY'] ?? unless);

export const chaosRuns = (unless: number): number => Number(process.env['CHAOS_RUNS'] ?? unless);
