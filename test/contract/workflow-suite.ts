import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Workflow } from '../../functions/ports/workflow.ts';

/**
 * A workflow whose executions wait in one state for an answer, and end with it; an error named `Cancelled` is caught and
 * ends them, too.
 */
export type WorkflowUnderTest = {
  readonly workflow: Workflow;
  /** The token by which a deployment's execution waits; each is given once, in the order in which they come. */
  readonly nextToken: (deploymentId: string) => Promise<string>;
  /** How the deployment's last execution ended, when it has. */
  readonly ended: (deploymentId: string) => Promise<Ended>;
  /** How many executions of a deployment were ever begun. */
  readonly begun: (deploymentId: string) => Promise<number>;
  readonly close: () => Promise<void>;
};
export type Ended =
  | { readonly how: 'resumed'; readonly answer: unknown }
  | { readonly how: 'cancelled'; readonly error: { readonly Error: string; readonly Cause?: string } };

/** What every implementation of the Workflow port holds to; `skips` names what cannot be tried, with the reason. */
export function workflowSuite(
  name: string,
  make: () => Promise<WorkflowUnderTest>,
  skips: { readonly stoppedToken?: string } = {},
): void {
  describe(`Workflow: ${name}`, () => {
    let given: WorkflowUnderTest;
    beforeAll(async () => {
      given = await make();
    });
    afterAll(async () => {
      await given?.close();
    });

    it('runs an execution from its start to its end', async () => {
      const id = randomUUID();
      expect(await given.workflow.isRunning(id)).toBe(false);
      await given.workflow.start(id);
      expect(await given.workflow.isRunning(id)).toBe(true);
      expect(await given.workflow.resume(await given.nextToken(id), { colour: 'blue' })).toBe(true);
      expect(await given.ended(id)).toEqual({ how: 'resumed', answer: { colour: 'blue' } });
      expect(await given.workflow.isRunning(id)).toBe(false);
    });

    it('begins one execution, however many start it at once and again', async () => {
      const id = randomUUID();
      await Promise.all(Array.from({ length: 5 }, async () => await given.workflow.start(id)));
      const token = await given.nextToken(id);
      await given.workflow.start(id);
      expect(await given.begun(id)).toBe(1);
      await given.workflow.resume(token, {});
      await given.ended(id);
    });

    it('takes one answer for a waiting state and no other', async () => {
      const id = randomUUID();
      await given.workflow.start(id);
      const token = await given.nextToken(id);
      expect(await given.workflow.resume(token, { first: true })).toBe(true);
      expect(await given.workflow.resume(token, { first: false })).toBe(false);
      expect(await given.workflow.fail(token, { name: 'Cancelled', reason: 'too late' })).toBe(false);
      expect(await given.ended(id)).toEqual({ how: 'resumed', answer: { first: true } });
    });

    it('ends a waiting state with an error that is caught by its name, and its reason', async () => {
      const id = randomUUID();
      await given.workflow.start(id);
      const token = await given.nextToken(id);
      expect(await given.workflow.fail(token, { name: 'Cancelled', reason: 'Cancelled by ann' })).toBe(true);
      expect(await given.ended(id)).toEqual({
        how: 'cancelled',
        error: { Error: 'Cancelled', Cause: 'Cancelled by ann' },
      });
    });

    it.each(['', 'no-such-token', 'x'.repeat(5000)])('says that nobody waits with a token of nobody', async (token) => {
      expect(await given.workflow.resume(token, {})).toBe(false);
      expect(await given.workflow.fail(token, { name: 'Cancelled', reason: 'x' })).toBe(false);
    });

    it('stops an execution, and begins anew from the top', async () => {
      const id = randomUUID();
      await given.workflow.start(id);
      const before = await given.nextToken(id);
      await given.workflow.stop(id, 'Its worker was lost');
      expect(await given.workflow.isRunning(id)).toBe(false);
      await given.workflow.start(id);
      expect(await given.workflow.isRunning(id)).toBe(true);
      const token = await given.nextToken(id);
      expect(token).not.toBe(before);
      expect(await given.workflow.resume(token, { again: true })).toBe(true);
      expect(await given.ended(id)).toEqual({ how: 'resumed', answer: { again: true } });
    });

    const why = skips.stoppedToken === undefined ? '' : ` (skipped: ${skips.stoppedToken})`;
    it.skipIf(why !== '')(`says that nobody waits in an execution that was stopped${why}`, async () => {
      const id = randomUUID();
      await given.workflow.start(id);
      const token = await given.nextToken(id);
      await given.workflow.stop(id, 'Its worker was lost');
      expect(await given.workflow.resume(token, {})).toBe(false);
    });

    it('begins anew after its end, as often as it is asked to', async () => {
      const id = randomUUID();
      for (let run = 1; run <= 4; run += 1) {
        await given.workflow.start(id);
        expect(await given.workflow.isRunning(id)).toBe(true);
        expect(await given.workflow.resume(await given.nextToken(id), { run })).toBe(true);
        expect(await given.ended(id)).toEqual({ how: 'resumed', answer: { run } });
        expect(await given.begun(id)).toBe(run);
      }
      expect(await given.workflow.isRunning(id)).toBe(false);
    });

    it('takes the stop of what does not run, or has ended, for done', async () => {
      const id = randomUUID();
      await given.workflow.stop(id, 'never started');
      await given.workflow.start(id);
      await given.workflow.resume(await given.nextToken(id), {});
      await given.ended(id);
      await given.workflow.stop(id, 'ended');
      expect(await given.workflow.isRunning(id)).toBe(false);
    });

    it('keeps the executions of deployments apart', async () => {
      const [one, two] = [randomUUID(), randomUUID()];
      await given.workflow.start(one);
      await given.workflow.start(two);
      const token = await given.nextToken(two);
      await given.workflow.stop(one, 'only this one');
      expect(await given.workflow.isRunning(two)).toBe(true);
      expect(await given.workflow.resume(token, {})).toBe(true);
      await given.ended(two);
    });

    it('is ready', async () => {
      await expect(given.workflow.ready()).resolves.toBeUndefined();
    });
  });
}

/** The executions' definition; how the waiting state gets its token differs. */
export function waitingDefinition(states: {
  readonly wait: object;
  readonly resumed: object;
  readonly cancelled: object;
}) {
  return {
    StartAt: 'Wait',
    States: {
      Wait: {
        Type: 'Task',
        ...states.wait,
        ResultPath: '$.answer',
        Catch: [{ ErrorEquals: ['Cancelled'], ResultPath: '$.error', Next: 'Cancelled' }],
        Next: 'Resumed',
      },
      Resumed: { ...states.resumed, End: true },
      Cancelled: { ...states.cancelled, End: true },
    },
  };
}

/** What comes one by one under a name, to be waited for. */
export function arrivals<T>() {
  const queues = new Map<string, { readonly ready: T[]; readonly waiting: ((value: T) => void)[] }>();
  const queueOf = (name: string) => {
    const queue = queues.get(name) ?? { ready: [], waiting: [] };
    queues.set(name, queue);
    return queue;
  };
  return {
    add(name: string, value: T): void {
      const { ready, waiting } = queueOf(name);
      const first = waiting.shift();
      if (first) first(value);
      else ready.push(value);
    },
    async next(name: string): Promise<T> {
      const { ready, waiting } = queueOf(name);
      const [value] = ready.splice(0, 1);
      return value ?? (await new Promise<T>((resolve) => waiting.push(resolve)));
    },
  };
}
