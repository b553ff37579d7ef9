import { execFile } from 'node:child_process';
import type { FunctionEntry } from '../../scripts/build-functions.ts';

/** What Lambda is told: an answer, or an error by its name and its sentence. */
export type Outcome = {
  readonly answer?: unknown;
  readonly error?: { readonly errorType: string; readonly errorMessage: string };
  /** The lines that it wrote on its standard output, which are its log. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
};

export type RunOptions = {
  /** Where the bundles are. */
  readonly folder: string;
  readonly name: FunctionEntry;
  /** Given one after the other, as to one warm function. */
  readonly events: readonly unknown[];
  readonly environment: Readonly<Record<string, string>>;
};

/** As Lambda's runtime for Node tells an error: by its name and message, whatever its class. */
const program = `
  const outcomes = [];
  const failed = ({ name, message }) => outcomes.push({ error: { errorType: name, errorMessage: message } });
  try {
    const { handler } = await import(process.argv[1]);
    for (const event of JSON.parse(process.argv[2])) {
      await handler(event, { awsRequestId: 'r-1' }).then((answer) => outcomes.push({ answer }), failed);
    }
  } catch (error) {
    failed(error);
  }
  process.stderr.write(JSON.stringify(outcomes));
`;

/**
 * Runs a bundled function in a process of its own, from cold, with nothing but its environment. One that cannot even be
 * loaded has that as its one outcome.
 */
export async function runFunction({ folder, name, events, environment }: RunOptions): Promise<readonly Outcome[]> {
  const file = `${folder}/${name}.mjs`;
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve, reject) => {
    const args = ['--input-type=module', '-e', program, file, JSON.stringify(events)];
    execFile(process.execPath, args, { env: environment, timeout: 20_000 }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr, { cause: error })) : resolve({ stdout, stderr }),
    );
  });
  const log = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return (JSON.parse(stderr) as Omit<Outcome, 'log'>[]).map((outcome) => ({ ...outcome, log }));
}
