import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import type { Metafile } from 'esbuild';
import { buildFunctions, bundling, functionEntries, type FunctionEntry } from '../../scripts/build-functions.ts';
import { compare, type Comparison } from './measure.ts';

/**
 * What a function's code costs at a cold start, without Lambda's own share: the import of its module in a fresh Node
 * process. Measured against an empty module, and against hono with the plain DynamoDB client and the four commands that
 * records need, bundled alike: less than any API on these two could load, and stricter than a baseline with the
 * document client of `@aws-sdk/lib-dynamodb`, which would load that besides.
 */
export type ColdStart = {
  readonly name: FunctionEntry;
  readonly entryBytes: number;
  /** The entry with what it imports at once. */
  readonly eagerBytes: number;
  /** With all that it may load later. */
  readonly wholeBytes: number;
  readonly againstEmpty: Comparison;
  readonly againstBare: Comparison;
};

export async function benchColdStart(pairs: number): Promise<readonly ColdStart[]> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-cold-'));
  try {
    const built = await buildFunctions(join(folder, 'ours'));
    const empty = await bundled(folder, 'empty', '');
    const bare = await bundled(folder, 'bare', bareSource);
    const results: ColdStart[] = [];
    for (const name of functionEntries) {
      const ours = join(folder, 'ours', `${name}.mjs`);
      results.push({
        name,
        ...sizes(built[name], name),
        againstEmpty: await compare(
          pairs,
          async () => await importMs(ours),
          async () => await importMs(empty),
        ),
        againstBare: await compare(
          pairs,
          async () => await importMs(ours),
          async () => await importMs(bare),
        ),
      });
    }
    return results;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const bareSource = `
  import { DeleteItemCommand, DynamoDBClient, GetItemCommand, PutItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
  import { Hono } from 'hono';
  import { handle } from 'hono/aws-lambda';
  const client = new DynamoDBClient({});
  const app = new Hono();
  app.get('/get', async (c) => c.json(await client.send(new GetItemCommand({ TableName: 't', Key: {} }))));
  app.put('/put', async (c) => c.json(await client.send(new PutItemCommand({ TableName: 't', Item: {} }))));
  app.delete('/delete', async (c) => c.json(await client.send(new DeleteItemCommand({ TableName: 't', Key: {} }))));
  app.get('/query', async (c) => c.json(await client.send(new QueryCommand({ TableName: 't' }))));
  export const handler = handle(app);
`;

async function bundled(folder: string, name: string, contents: string): Promise<string> {
  const outdir = join(folder, name);
  await build({
    ...bundling,
    stdin: { contents, resolveDir: import.meta.dirname, sourcefile: `${name}.ts`, loader: 'ts' },
    entryNames: name,
    outdir,
  });
  return join(outdir, `${name}.mjs`);
}

const program = `
  const from = performance.now();
  await import(process.argv[1]);
  process.stdout.write(String(performance.now() - from), () => process.exit(0));
`;
/** As the stack sets them; nothing is asked of AWS. */
const environment = {
  SLUICE_PREFIX: 'sluice',
  SLUICE_TABLE: 'records',
  SLUICE_BUCKET: 'artifacts',
  SLUICE_STATE_MACHINE_ARN: 'arn:aws:states:eu-central-1:111111111111:stateMachine:sluice-deploy',
  AWS_REGION: 'eu-central-1',
};

async function importMs(file: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program, file], {
    env: environment,
  });
  return Number(stdout);
}

/** Of one function. Paths of a metafile are relative to the project. */
function sizes({ outputs }: Metafile, name: FunctionEntry) {
  const entry = Object.keys(outputs).find((path) => path.endsWith(`/${name}.mjs`)) ?? '';
  const eager = new Set<string>();
  const add = (path: string): void => {
    if (eager.has(path)) return;
    eager.add(path);
    for (const { path: next, kind, external } of outputs[path]?.imports ?? [])
      if (kind === 'import-statement' && !external) add(next);
  };
  add(entry);
  const bytesOf = (paths: Iterable<string>) => [...paths].reduce((sum, path) => sum + (outputs[path]?.bytes ?? 0), 0);
  return { entryBytes: bytesOf([entry]), eagerBytes: bytesOf(eager), wholeBytes: bytesOf(Object.keys(outputs)) };
}
