import { ListActivitiesCommand } from '@aws-sdk/client-sfn';
import { vi } from 'vitest';
import type { DynamoCalls } from '../../functions/aws/records.ts';
import type { EmbeddedDynamo } from '../../local/embedded-dynamo.ts';
import { recordInput } from './scripted-aws.ts';

/**
 * Set up before every test file when `SLUICE_AWS_INPUTS` is set: whatever any SDK client of a test is asked is written
 * down there, presigned requests included, and so is what the embedded DynamoDB is asked, which no SDK sees.
 * What a bundle asks (it holds an SDK of its own) or another process is not seen here.
 */
vi.mock('../../local/embedded-dynamo.ts', async (original) => {
  const module = await original<{ openEmbeddedDynamo: (options: unknown) => Promise<EmbeddedDynamo> }>();
  const openEmbeddedDynamo = async (options: unknown): Promise<EmbeddedDynamo> => {
    const opened = await module.openEmbeddedDynamo(options);
    return { ...opened, calls: recorded(opened.calls) };
  };
  return { ...module, openEmbeddedDynamo };
});

recordCommands();

type Arguments = readonly [
  stack: unknown,
  configuration: { readonly serviceId?: string },
  options: unknown,
  command: { readonly commandName: string },
];
type AnyCommand = { readonly input: object };
type CommandClass = { resolveMiddlewareWithContext?: (this: AnyCommand, ...given: Arguments) => unknown };

/** Every command of every client, sent or signed, comes by this one method of the class that all commands extend. */
function recordCommands(): void {
  // Each command extends a class built for it, and that one the class of all.
  const base = prototypeOf(prototypeOf(ListActivitiesCommand.prototype)) as CommandClass;
  const resolve = base.resolveMiddlewareWithContext;
  if (!resolve) throw new Error('The SDK resolves its commands otherwise now: no input would be recorded');
  base.resolveMiddlewareWithContext = function (...given) {
    const [, { serviceId = '' }, , { commandName }] = given;
    recordInput(serviceId, commandName.replace(/Command$/, ''), this.input);
    return resolve.apply(this, [...given]);
  };
}

function prototypeOf(value: object): object {
  return Object.getPrototypeOf(value) as object;
}

function recorded(calls: DynamoCalls): DynamoCalls {
  const note = (operation: string, input: object) => recordInput('DynamoDB', operation, input);
  return {
    getItem: async (input) => (note('GetItem', input), await calls.getItem(input)),
    putItem: async (input) => (note('PutItem', input), await calls.putItem(input)),
    deleteItem: async (input) => (note('DeleteItem', input), await calls.deleteItem(input)),
    query: async (input) => (note('Query', input), await calls.query(input)),
  };
}
