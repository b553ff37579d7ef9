import { afterEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../functions/runtime/log.ts';
import { localWorkflow, type LocalWorkflowOptions } from '../../local/workflow.ts';

const definition = {
  StartAt: 'Wait',
  States: {
    Wait: {
      Type: 'Task',
      Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
      Parameters: { Payload: { step: 'wait', 'deploymentId.$': '$.deploymentId', 'token.$': '$$.Task.Token' } },
      TimeoutSeconds: 1,
      ResultPath: null,
      Catch: [
        { ErrorEquals: ['States.Timeout'], ResultPath: null, Next: 'Wait' },
        { ErrorEquals: ['States.ALL'], ResultPath: '$.error', Next: 'Failed' },
      ],
      Next: 'Done',
    },
    Failed: {
      Type: 'Task',
      Resource: 'arn:aws:states:::lambda:invoke',
      Parameters: { Payload: { step: 'failed', 'error.$': '$.error.Error' } },
      End: true,
    },
    Done: {
      Type: 'Task',
      Resource: 'arn:aws:states:::lambda:invoke',
      Parameters: { Payload: { step: 'done' } },
      End: true,
    },
  },
} as unknown as LocalWorkflowOptions['definition'];

let workflow: ReturnType<typeof localWorkflow>;
afterEach(async () => await workflow.close());

const start = async (steps: Record<string, (payload: Record<string, unknown>) => Promise<void> | void>) => {
  workflow = localWorkflow({
    definition,
    builder: { start: async () => {}, wait: async () => ({ status: 'unknown' }) },
    log: silentLog,
    runStep: async (payload) => {
      await steps[payload.step]?.(payload);
      return {};
    },
  });
  await workflow.start('d');
};

describe('a state that waits for a token', () => {
  it('does not wait with the token of before once it took too long', async () => {
    const tokens: string[] = [];
    const again = Promise.withResolvers<void>();
    const done = Promise.withResolvers<void>();
    await start({
      wait: ({ token }) => {
        if (tokens.push(token as string) === 2) again.resolve();
      },
      done: () => done.resolve(),
    });
    await again.promise;
    expect(await workflow.resume(tokens[0] ?? '', {})).toBe(false);
    expect(await workflow.resume(tokens[1] ?? '', {})).toBe(true);
    await done.promise;
  });

  it('may be failed while its step is still at work, and nothing is left unhandled', async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    const failed = Promise.withResolvers<unknown>();
    await start({
      wait: async ({ token }) => {
        await workflow.fail(token as string, { name: 'Cancelled', reason: 'by ann' });
        await new Promise((resolve) => setTimeout(resolve, 20));
      },
      failed: ({ error }) => failed.resolve(error),
    });
    expect(await failed.promise).toBe('Cancelled');
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });
});
