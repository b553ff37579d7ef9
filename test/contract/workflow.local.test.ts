import { silentLog } from '../../functions/runtime/log.ts';
import { localWorkflow, type LocalWorkflowOptions } from '../../local/workflow.ts';
import { arrivals, waitingDefinition, workflowSuite, type Ended } from './workflow-suite.ts';

const step = (name: string, more: object) => ({
  Type: 'Task',
  Resource: 'arn:aws:states:::lambda:invoke',
  Parameters: { Payload: { step: name, 'deploymentId.$': '$.deploymentId', ...more } },
});
const definition = waitingDefinition({
  wait: {
    ...step('wait', { 'token.$': '$$.Task.Token' }),
    Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
  },
  resumed: step('resumed', { 'answer.$': '$.answer' }),
  cancelled: step('cancelled', { 'error.$': '$.error' }),
}) as unknown as LocalWorkflowOptions['definition'];

workflowSuite('on this machine', async () => {
  const tokens = arrivals<string>();
  const ends = arrivals<Ended>();
  const begun = new Map<string, number>();
  const workflow = localWorkflow({
    definition,
    builder: { start: async () => {}, wait: async () => ({ status: 'unknown' }) },
    log: silentLog,
    runStep: async ({ step: name, deploymentId, token, answer, error }) => {
      const id = deploymentId as string;
      if (name === 'wait') {
        begun.set(id, (begun.get(id) ?? 0) + 1);
        tokens.add(id, token as string);
      } else if (name === 'resumed') ends.add(id, { how: 'resumed', answer });
      else ends.add(id, { how: 'cancelled', error: error as { Error: string; Cause: string } });
      return {};
    },
  });
  return {
    workflow,
    nextToken: async (id) => await tokens.next(id),
    ended: async (id) => {
      const end = await ends.next(id);
      // The last step was told; the execution ends a moment later.
      while (await workflow.isRunning(id)) await new Promise((resolve) => setTimeout(resolve, 5));
      return end;
    },
    begun: async (id) => begun.get(id) ?? 0,
    close: async () => await workflow.close(),
  };
});
