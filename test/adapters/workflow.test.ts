import { SFNClient } from '@aws-sdk/client-sfn';
import { beforeEach, describe, expect, it } from 'vitest';
import { slowCalls } from '../../functions/aws/client.ts';
import {
  describeExecutionInput,
  executionArn,
  parseExecutionName,
  startExecutionInput,
  stopExecutionInput,
  taskFailureInput,
  taskSuccessInput,
} from '../../functions/aws/workflow-requests.ts';
import { stepFunctionsWorkflow } from '../../functions/aws/workflow.ts';
import type { Workflow } from '../../functions/ports/workflow.ts';
import { awsError, scriptAws, testAwsConfig } from '../support/scripted-aws.ts';
import { scriptedMachineArn, scriptedStepFunctions } from '../support/scripted-step-functions.ts';

const id = '019a9f2e-7c1b-7def-8a00-0123456789ab';
const arn = (run: number) => executionArn(scriptedMachineArn, id, run);

describe('what is asked of Step Functions', () => {
  it('is a start by the deployment’s id, with the same input each time', () => {
    const machine = { stateMachineArn: scriptedMachineArn };
    expect(startExecutionInput(machine, id, 1)).toEqual({
      stateMachineArn: scriptedMachineArn,
      name: id,
      input: `{"deploymentId":"${id}"}`,
    });
    expect(startExecutionInput(machine, id, 3)).toMatchObject({ name: `${id}-3` });
  });

  it('is the same for a job, by the name that its definition reads', () => {
    const machine = { stateMachineArn: scriptedMachineArn, inputName: 'jobId' } as const;
    expect(startExecutionInput(machine, '2147483647', 2)).toEqual({
      stateMachineArn: scriptedMachineArn,
      name: '2147483647-2',
      input: '{"jobId":"2147483647"}',
    });
  });

  it('is a look and a stop by the ARN that follows from the name', () => {
    const executionArn = `arn:aws:states:eu-central-1:123456789012:execution:sluice-deploy:${id}-2`;
    expect(describeExecutionInput(scriptedMachineArn, id, 2)).toEqual({ executionArn, includedData: 'METADATA_ONLY' });
    expect(stopExecutionInput(executionArn, 'x'.repeat(40_000))).toEqual({
      executionArn,
      error: 'Stopped',
      cause: 'x'.repeat(32_768),
    });
  });

  it('is an answer of at most 256 KiB, counted in bytes', () => {
    expect(taskSuccessInput('t', { done: true })).toEqual({ taskToken: 't', output: '{"done":true}' });
    const most = 256 * 1024 - '{"a":""}'.length;
    expect(taskSuccessInput('t', { a: 'x'.repeat(most) }).output).toHaveLength(256 * 1024);
    expect(() => taskSuccessInput('t', { a: 'x'.repeat(most + 1) })).toThrow('larger than 256 KiB');
    expect(() => taskSuccessInput('t', { a: 'ä'.repeat(most / 2 + 1) })).toThrow('larger than 256 KiB');
  });

  it('is a failure whose name and reason fit', () => {
    expect(taskFailureInput('t', { name: 'Cancelled', reason: 'by ann' })).toEqual({
      taskToken: 't',
      error: 'Cancelled',
      cause: 'by ann',
    });
    const long = taskFailureInput('t', { name: 'n'.repeat(300), reason: 'r'.repeat(40_000) });
    expect([long.error?.length, long.cause?.length]).toEqual([256, 32_768]);
  });

  it.each([
    [arn(1), { deploymentId: id, run: 1 }],
    [arn(12), { deploymentId: id, run: 12 }],
    [id, { deploymentId: id, run: 1 }],
    [`${id}-1`, undefined],
    [`${id}-0`, undefined],
    [`${id}-2-3`, undefined],
    ['by-hand', undefined],
    ['2147483647', undefined],
    ['', undefined],
  ])('an execution %s is read back', (name, expected) => {
    expect(parseExecutionName(name)).toEqual(expected);
  });
});

let aws: ReturnType<typeof scriptedStepFunctions>;
const openWorkflow = (): Workflow => {
  const config = { ...slowCalls, ...testAwsConfig, requestHandler: { requestTimeout: 50 } };
  const client = scriptAws(new SFNClient(config), aws.script);
  return stepFunctionsWorkflow({ client, stateMachineArn: scriptedMachineArn, pauseMs: 1 });
};
let workflow: Workflow;
beforeEach(() => {
  aws = scriptedStepFunctions();
  workflow = openWorkflow();
});
/** Throws the first so many times. */
const times = (count: number, error: () => Error) => {
  let left = count;
  return () => {
    if (left-- > 0) throw error();
  };
};
const lost = () => awsError('InternalFailure', 'the answer was lost', 500);
const endOf = async () => {
  for (const execution of aws.of(id)) if (execution.status === 'RUNNING') execution.status = 'FAILED';
};

describe('an execution that ends again and again', () => {
  it('is begun anew at once at first, then after longer and longer, and always in the end', async () => {
    let now = Date.parse('2026-11-20T12:00:00Z');
    const client = scriptAws(new SFNClient({ ...slowCalls, ...testAwsConfig }), aws.script);
    const patient = stepFunctionsWorkflow({ client, stateMachineArn: scriptedMachineArn, clock: () => now });
    const startedAt: number[] = [];
    for (let minute = 0; minute <= 60; minute += 1, now += 60_000) {
      await patient.start(id);
      const running = aws.of(id).find(({ status }) => status === 'RUNNING');
      if (!running) continue;
      startedAt.push(minute);
      Object.assign(running, { status: 'FAILED', stoppedAt: new Date(now) });
    }
    expect(startedAt).toEqual([0, 1, 2, 3, 4, 6, 10, 18, 33, 48]);
  });
});

describe('starting an execution', () => {
  it('that is throttled is tried again', async () => {
    aws.faults.before = times(1, () => awsError('ThrottlingException'));
    await workflow.start(id);
    expect(aws.calls).toEqual(['StartExecution', 'StartExecution']);
    expect(aws.of(id)).toHaveLength(1);
  });

  it('whose answer is lost begins one', async () => {
    aws.faults.after = times(1, lost);
    await workflow.start(id);
    expect(aws.of(id)).toHaveLength(1);
  });

  it('is one call when there was none before', async () => {
    await workflow.start(id);
    expect(aws.calls).toEqual(['StartExecution']);
  });

  it('takes the next free name when the ones before have ended, with few calls', async () => {
    for (let run = 1; run <= 40; run += 1) {
      await workflow.start(id);
      await endOf();
    }
    aws.calls.length = 0;
    await workflow.start(id);
    expect(aws.of(id).at(-1)?.arn).toBe(arn(41));
    expect(aws.calls.length).toBeLessThan(18);
  });

  it('that meets others begins one, by however many processes and after any number of ends', async () => {
    for (const before of [1, 2, 3]) {
      await Promise.all(Array.from({ length: 4 }, async () => await openWorkflow().start(id)));
      expect(aws.of(id)).toHaveLength(before);
      await endOf();
    }
  });

  it('is not described yet by another process, and begins no second one', async () => {
    await workflow.start(id);
    await endOf();
    await workflow.start(id);
    aws.hidden.add(arn(2));
    await openWorkflow().start(id);
    expect(aws.of(id)).toHaveLength(2);
  });

  it('begins nothing beside one that runs with another input, as an older version may have given it', async () => {
    await workflow.start(id);
    for (const execution of aws.of(id)) {
      aws.executions.set(arn(1), { ...execution, input: `{"deploymentId":"${id}","version":0}` });
    }
    await openWorkflow().start(id);
    expect(aws.of(id)).toHaveLength(1);
  });

  it('is refused as busy when as many run as may', async () => {
    aws.faults.before = () => {
      throw awsError('ExecutionLimitExceeded');
    };
    await expect(workflow.start(id)).rejects.toMatchObject({ name: 'Problem', kind: 'busy' });
  });
});

describe('a running execution', () => {
  it('is known to who started it before Step Functions describes it, and can be stopped', async () => {
    await workflow.start(id);
    aws.hidden.add(arn(1));
    expect(await workflow.isRunning(id)).toBe(true);
    expect(await openWorkflow().isRunning(id)).toBe(false);
    await workflow.stop(id, 'at once');
    expect(aws.of(id)[0]?.status).toBe('ABORTED');
  });

  it('is stopped although the first answer is lost, and anew although told twice', async () => {
    await workflow.start(id);
    aws.faults.after = times(1, lost);
    await workflow.stop(id, 'lost');
    await workflow.stop(id, 'again');
    expect(aws.of(id)[0]?.status).toBe('ABORTED');
    await workflow.start(id);
    expect(await workflow.isRunning(id)).toBe(true);
    expect(aws.of(id)).toHaveLength(2);
  });

  it('is waited for until its end is described', async () => {
    await workflow.start(id);
    const [execution] = aws.of(id);
    if (!execution) throw new Error('It was not started');
    let looks = 0;
    aws.faults.after = (operation) => {
      if (operation === 'StopExecution') execution.status = 'RUNNING';
    };
    aws.faults.before = (operation) => {
      if (operation === 'DescribeExecution' && aws.calls.includes('StopExecution') && (looks += 1) === 3) {
        execution.status = 'ABORTED';
      }
    };
    await workflow.stop(id, 'x');
    expect(looks).toBe(3);
    expect(await openWorkflow().isRunning(id)).toBe(false);
  });
});

describe('a task token', () => {
  const tokenOf = () => aws.of(id).at(-1)?.token ?? '';

  it('counts as taken when the answer to it was lost and the repetition finds the state gone on', async () => {
    await workflow.start(id);
    aws.faults.after = times(1, lost);
    expect(await workflow.resume(tokenOf(), { x: 1 })).toBe(true);
    expect(aws.of(id)[0]).toMatchObject({ status: 'SUCCEEDED', end: { answer: { x: 1 } } });
    expect(await workflow.resume(tokenOf(), {})).toBe(false);
  });

  it('is in no error, nor in what caused it', async () => {
    await workflow.start(id);
    const token = tokenOf();
    aws.faults.before = () => {
      throw awsError('ValidationException', `Value '${token}' at 'taskToken' failed to satisfy constraint`);
    };
    for (const call of [workflow.resume(token, {}), workflow.fail(token, { name: 'Cancelled', reason: 'x' })]) {
      const error = (await call.catch((thrown: unknown) => thrown)) as Error;
      expect(error).toBeInstanceOf(Error);
      expect(error.message).toContain('ValidationException');
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(token);
      expect(error.cause).toBeUndefined();
    }
  });

  it('is told to be asked again when Step Functions does not answer', async () => {
    await workflow.start(id);
    const token = tokenOf();
    const config = { ...testAwsConfig, ...slowCalls, maxAttempts: 2 };
    const client = scriptAws(new SFNClient(config), () => {
      throw Object.assign(new Error(`timed out with ${token}`), { name: 'TimeoutError' });
    });
    const silent = stepFunctionsWorkflow({ client, stateMachineArn: scriptedMachineArn });
    const error = (await silent.resume(token, {}).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ name: 'Problem', kind: 'busy' });
    expect(`${error.message}${String(error.cause)}`).not.toContain(token);
  });
});

describe('readiness', () => {
  it('fails for a state machine that is going', async () => {
    aws.setMachineStatus('DELETING');
    await expect(workflow.ready()).rejects.toThrow('DELETING');
  });
});
