import { SFNClient } from '@aws-sdk/client-sfn';
import { slowCalls } from '../../functions/aws/client.ts';
import { stepFunctionsWorkflow } from '../../functions/aws/workflow.ts';
import { scriptAws, testAwsConfig } from '../support/scripted-aws.ts';
import { scriptedMachineArn, scriptedStepFunctions } from '../support/scripted-step-functions.ts';
import { workflowSuite } from './workflow-suite.ts';

workflowSuite('Step Functions, scripted', async () => {
  const machine = scriptedStepFunctions();
  const client = scriptAws(new SFNClient({ ...slowCalls, ...testAwsConfig }), machine.script);
  const taken = new Set<string>();
  return {
    workflow: stepFunctionsWorkflow({ client, stateMachineArn: scriptedMachineArn, pauseMs: 1 }),
    async nextToken(id) {
      const token = machine.of(id).find((execution) => !taken.has(execution.token))?.token;
      if (token === undefined) throw new Error('No execution waits');
      taken.add(token);
      return token;
    },
    async ended(id) {
      const { end } = machine.of(id).at(-1) ?? {};
      if (!end) throw new Error('It has not ended');
      return 'answer' in end
        ? { how: 'resumed', answer: end.answer }
        : { how: 'cancelled', error: { Error: end.error, Cause: end.cause } };
    },
    begun: async (id) => machine.of(id).length,
    close: async () => client.destroy(),
  };
});
