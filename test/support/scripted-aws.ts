import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * An AWS that answers as it is told. The real SDK client runs: its input is serialised, its retries and time-outs are
 * the real ones; only what would cross the network is answered here, by the documented shapes.
 */
type AnyClient = {
  readonly config: object;
  readonly middlewareStack: {
    // The stack's own type differs by client; what is added looks the same to each.
    // oxlint-disable-next-line typescript/no-explicit-any
    add(middleware: any, options: any): void;
  };
};
/** Answers with an operation's output, or throws `awsError`. `operation` is the API's name for it: `UpdateService`. */
// oxlint-disable-next-line typescript/no-explicit-any
export type AwsScript = (operation: string, input: any) => unknown;

type Next = (args: { readonly input: object }) => Promise<unknown>;
type Context = { readonly commandName?: string };

/** Lets a script answer for the service; every attempt asks it anew, the SDK's own repetitions included. */
export function scriptAws<Client extends AnyClient>(client: Client, script: AwsScript): Client {
  recordInputs(client);
  client.middlewareStack.add(
    (_next: Next, { commandName = '' }: Context) =>
      async ({ input }: { readonly input: object }) => ({
        response: { statusCode: 200, headers: {} },
        output: { $metadata: {}, ...((await script(operationOf(commandName), input)) as object) },
      }),
    // Innermost: within the retries, and what it says is not deserialised.
    { step: 'finalizeRequest', priority: 'low', name: 'scripted' },
  );
  return client;
}

/** Writes down what a client is asked, for the check against AWS's service models (`test/aws/check_inputs.py`). */
export function recordInputs<Client extends AnyClient>(client: Client): Client {
  const { serviceId = '' } = client.config as { serviceId?: string };
  client.middlewareStack.add(
    (next: Next, { commandName = '' }: Context) =>
      async (args: { readonly input: object }) => {
        recordInput(serviceId, operationOf(commandName), args.input);
        return await next(args);
      },
    { step: 'initialize', name: 'recorded' },
  );
  return client;
}

const folder = process.env['SLUICE_AWS_INPUTS'];
const known = new Set<string>();

/** One line of JSON for each different input, in `$SLUICE_AWS_INPUTS`; nothing where that is not set. */
export function recordInput(serviceId: string, operation: string, input: object): void {
  if (!folder) return;
  const line = JSON.stringify({ serviceId, operation, input }, function (this: Record<string, unknown>, key, value) {
    // A date is asked for by its holder: what arrives here is its text already.
    const held = this[key];
    if (held instanceof Date) return { $date: held.toISOString() };
    return held instanceof Uint8Array || isStream(held) ? { $bytes: true } : (value as unknown);
  });
  if (known.has(line)) return;
  if (known.size === 0) mkdirSync(folder, { recursive: true });
  known.add(line);
  appendFileSync(join(folder, `${process.pid}.jsonl`), `${line}\n`);
}

/** An exception as a service answers with. `status` 400 is not repeated by the SDK, 5xx and throttling are. */
export function awsError(name: string, message = name, status = 400): Error {
  return Object.assign(new Error(message), {
    name,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status },
  });
}

/** What every test client is made with: no real credentials, no region of anybody's. */
export const testAwsConfig = {
  region: 'eu-central-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
} as const;

function operationOf(commandName: string): string {
  return commandName.replace(/Command$/, '');
}

function isStream(value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('pipe' in value || Symbol.asyncIterator in value);
}
