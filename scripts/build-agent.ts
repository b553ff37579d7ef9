import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

/**
 * Bundles a build agent into one ES module (`.mjs`) that any Node from 20 on runs by itself; takes some tens of milliseconds, so
 * the local server does it at every start. `entry`: the cloud's entry, relative to the project.
 */
export async function buildAgent(outFile: string, entry = 'local/agent.ts'): Promise<void> {
  await mkdir(dirname(outFile), { recursive: true });
  const temporary = `${outFile}.${process.pid}.new`;
  try {
    await build({
      absWorkingDir: root,
      entryPoints: [entry],
      outfile: temporary,
      bundle: true,
      platform: 'node',
      // Modules required when first used: an ESM bundle imports all that any step needs at its start, and importing
      // `node:https` alone costs 50 ms, because reading its exports one by one loads an HTTP client and a WebSocket.
      format: 'cjs',
      banner: {
        js: "import { createRequire as sluiceAgentRequire } from 'node:module'; const require = sluiceAgentRequire(import.meta.url);",
      },
      target: 'node20',
      mainFields: ['module', 'main'],
      minify: true,
      legalComments: 'none',
      logLevel: 'silent',
    });
    // A build that runs now keeps reading the file it has opened.
    await rename(temporary, outFile);
  } finally {
    await rm(temporary, { force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildAgent(process.argv[2] ?? join(root, 'dist/agent.mjs'));
}
