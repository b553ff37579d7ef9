import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions, type Metafile } from 'esbuild';

const root = join(import.meta.dirname, '..');

/** The entry points, by the names of their files: `dist/functions/api.mjs` has `api.handler`. */
export const functionEntries = ['api', 'workflow', 'events', 'reconcile'] as const;
export type FunctionEntry = (typeof functionEntries)[number];

/** Schema libraries that are not ours: what makes the OpenAPI document loads a converter when it meets one of theirs. */
const otherSchemaLibraries: string[] = ['effect', 'sury', 'zod/v4/core', 'zod-to-json-schema', 'zod-openapi'];

export type BuildFunctionsOptions = {
  /** Writes maps beside the code; Node reads them when it is started with `--enable-source-maps`. Default false. */
  readonly sourceMaps?: boolean;
};

/**
 * Bundles the Lambda functions into a folder, which is emptied first: one ES module each, and in a folder of its name
 * the chunks that it loads when it first needs them. The SDK is within, so what was tested is what runs. The same
 * sources give the same bytes. Answers with what each function is made of.
 */
export async function buildFunctions(
  outDir: string,
  options: BuildFunctionsOptions = {},
): Promise<Readonly<Record<FunctionEntry, Metafile>>> {
  await rm(outDir, { recursive: true, force: true });
  const built = await Promise.all(
    functionEntries.map(async (name) => [name, await bundle(name, outDir, options)] as const),
  );
  return Object.fromEntries(built) as Record<FunctionEntry, Metafile>;
}

/** How each is bundled. */
export const bundling = {
  absWorkingDir: root,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  // Else a package's CommonJS build comes first, of which nothing can be left out.
  mainFields: ['module', 'main'],
  external: otherSchemaLibraries,
  minify: true,
  legalComments: 'none',
  metafile: true,
  // For CommonJS modules among the dependencies, which ask for Node's own by `require`.
  banner: {
    js: "import { createRequire as sluiceRequire } from 'node:module'; const require = sluiceRequire(import.meta.url);",
  },
  logLevel: 'silent',
} as const satisfies BuildOptions;

/** Apart from the others: with chunks in common, a function would hold what only another one calls. */
async function bundle(name: FunctionEntry, outDir: string, { sourceMaps = false }: BuildFunctionsOptions) {
  const { metafile } = await build({
    ...bundling,
    entryPoints: { [name]: `functions/lambda/${name}.ts` },
    outdir: outDir,
    chunkNames: `${name}/[name]-[hash]`,
    sourcemap: sourceMaps,
    sourcesContent: false,
  });
  return metafile;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = await buildFunctions(process.argv[2] ?? join(root, 'dist/functions'));
  for (const { outputs } of Object.values(built))
    for (const [path, { bytes }] of Object.entries(outputs)) console.log(`${path} ${(bytes / 1024).toFixed(1)} KiB`);
}
