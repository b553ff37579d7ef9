import { defineConfig } from 'vitest/config';

const project = (name: string, folders: readonly string[], testTimeout: number) => ({
  test: {
    name,
    include: folders.map((folder) => `test/${folder}/**/*.test.ts`),
    testTimeout,
    hookTimeout: testTimeout,
    setupFiles: process.env['SLUICE_AWS_INPUTS'] ? ['test/support/record-aws-inputs.ts'] : [],
  },
});

/**
 * `npm test` runs the first four; `heavy` holds what needs minutes (loads, kills, hundreds of apps), `aws` what needs
 * the emulator of AWS; `.ci/run` runs them all.
 */
export default defineConfig({
  test: {
    // Most of the time is waiting (for a drain, a time limit, a container), so more run at once than there are cores.
    maxWorkers: 4,
    // Real servers, processes and containers on a machine that others load too: CI tries a red test twice more, and its
    // report counts the last answer. On a person's machine nothing is tried again.
    retry: process.env['CI'] ? 2 : 0,
    projects: [
      project(
        'unit',
        [
          'api',
          'apps',
          'artifacts',
          'access',
          'adapters',
          'builds',
          'cli',
          'deployments',
          'lambda',
          'local',
          'rollout',
          'runtime',
          'webhook',
          'workflow',
          'structure',
        ],
        20_000,
      ),
      // Loading CDK takes seconds: its files share what is loaded, as templates keep nothing between them.
      { test: { ...project('infra', ['infra'], 60_000).test, isolate: false } },
      project('contract', ['contract'], 60_000),
      project('flow', ['flow'], 90_000),
      project('heavy', ['heavy'], 600_000),
      { test: { ...project('aws', ['aws'], 300_000).test, globalSetup: 'test/aws/needs.ts' } },
    ],
    reporters: process.env['CI'] ? ['default', 'json'] : ['default'],
    outputFile: { json: `reports/${process.env['SLUICE_REPORT'] ?? 'vitest'}.json` },
  },
});
