import {
  CreateActivityCommand,
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  GetActivityTaskCommand,
  ListExecutionsCommand,
  SFNClient,
} from '@aws-sdk/client-sfn';
import { slowCalls } from '../../functions/aws/client.ts';
import { parseExecutionName } from '../../functions/aws/workflow-requests.ts';
import { stepFunctionsWorkflow } from '../../functions/aws/workflow.ts';
import { waitingDefinition, workflowSuite, type Ended, type WorkflowUnderTest } from '../contract/workflow-suite.ts';
import { recordInputs } from '../support/scripted-aws.ts';
import { describeOnEmulator, emulatorAccount, startEmulator } from './emulator.ts';

/** The waiting state is an activity's: whoever works for it gets the task's token. */
describeOnEmulator('workflow', () => {
  workflowSuite('Step Functions, emulated', make, {
    stoppedToken: 'the emulator takes the token of an execution that was stopped; scripted instead',
  });
});

async function make(): Promise<WorkflowUnderTest> {
  const emulator = await startEmulator();
  if (!emulator) throw new Error('The emulator is absent');
  const control = new SFNClient(emulator.config);
  const activity = await control.send(new CreateActivityCommand({ name: 'waiting' }));
  const definition = waitingDefinition({
    wait: { Resource: activity.activityArn },
    resumed: { Type: 'Pass' },
    cancelled: { Type: 'Pass' },
  });
  const { stateMachineArn = '' } = await control.send(
    new CreateStateMachineCommand({
      name: 'sluice-deploy',
      roleArn: `arn:aws:iam::${emulatorAccount}:role/sluice-deploy`,
      definition: JSON.stringify(definition),
    }),
  );
  const client = recordInputs(new SFNClient({ ...slowCalls, ...emulator.config }));
  const tokens: { readonly deploymentId: string; readonly token: string }[] = [];

  async function executionsOf(id: string) {
    const { executions = [] } = await control.send(new ListExecutionsCommand({ stateMachineArn }));
    const ours = executions.filter(({ name = '' }) => parseExecutionName(name)?.deploymentId === id);
    return ours.sort((a, b) => runOf(a.name) - runOf(b.name));
  }

  return {
    workflow: stepFunctionsWorkflow({ client, stateMachineArn, pauseMs: 50 }),
    async nextToken(id) {
      for (let attempt = 0; attempt < 50; attempt += 1) {
        const at = tokens.findIndex(({ deploymentId }) => deploymentId === id);
        const [found] = at < 0 ? [] : tokens.splice(at, 1);
        if (found) return found.token;
        // Asks for a minute, as AWS does, when there is none: only what is awaited may be asked for.
        const { activityArn } = activity;
        const task = await control.send(new GetActivityTaskCommand({ activityArn, workerName: 'test' }));
        if (task.taskToken) tokens.push({ deploymentId: deploymentOf(task.input), token: task.taskToken });
      }
      throw new Error('No execution waits');
    },
    async ended(id): Promise<Ended> {
      for (;;) {
        const last = (await executionsOf(id)).at(-1);
        const { executionArn } = last ?? {};
        const { status, output } = await control.send(new DescribeExecutionCommand({ executionArn }));
        if (status !== 'RUNNING') return endOf(output);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    begun: async (id) => (await executionsOf(id)).length,
    async close() {
      client.destroy();
      control.destroy();
      await emulator.close();
    },
  };
}

function runOf(name = ''): number {
  return parseExecutionName(name)?.run ?? 0;
}

function deploymentOf(input = ''): string {
  return (JSON.parse(input) as { readonly deploymentId: string }).deploymentId;
}

function endOf(output = '{}'): Ended {
  const { answer, error } = JSON.parse(output) as { answer?: unknown; error?: { Error: string; Cause?: string } };
  return error ? { how: 'cancelled', error } : { how: 'resumed', answer };
}
