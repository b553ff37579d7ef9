import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stepHandler } from '../../functions/lambda/step-handler.ts';
import { cancelDeployment } from '../../functions/deployments/cancel.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
import { StepFailed } from '../../functions/runtime/errors.ts';
import type { Log } from '../../functions/runtime/log.ts';
import { causeOf } from '../../functions/workflow/step.ts';
import { scriptedCloud, twoTargets } from '../support/scripted-cloud.ts';

let cloud: Awaited<ReturnType<typeof scriptedCloud>>;
beforeEach(async () => {
  cloud = await scriptedCloud();
  await cloud.apply('web', twoTargets);
});
afterEach(async () => await cloud.close());

/** As Lambda's runtime for Node tells an error, and Step Functions passes it to a Catch. */
async function caught(work: Promise<unknown>): Promise<{ Error: string; Cause: string }> {
  try {
    await work;
  } catch (error) {
    const { name, message, stack } = error as Error;
    return {
      Error: name,
      Cause: JSON.stringify({ errorType: name, errorMessage: message, trace: (stack ?? '').split('\n') }),
    };
  }
  throw new Error('nothing was thrown');
}

const deploy = async () =>
  await requestDeployment(cloud.ports, {
    app: 'web',
    environment: 'dev',
    request: { kind: 'source', ref: 'main', commit: 'a'.repeat(40) },
    trigger: { kind: 'api', actor: 'ann' },
  });

describe('the workflow function', () => {
  it('runs the step that the payload names', async () => {
    const handler = stepHandler(cloud.ports);
    cloud.script.build = () => 'never';
    const { id } = await deploy();
    await cloud.reached(id, 'building');
    expect(await handler({ step: 'acquire', deploymentId: id })).toEqual({});
  });

  it('tells a failure by its name, which a Catch matches, and its sentence', async () => {
    const handler = stepHandler(cloud.ports);
    cloud.script.build = () => 'never';
    const { id } = await deploy();
    await cloud.reached(id, 'building');
    await cancelDeployment(cloud.ports, { id, actor: 'ann' });
    const error = await caught(handler({ step: 'resolve', deploymentId: id }));
    expect(error.Error).toBe('Cancelled');
    expect(causeOf(error)).toBe('Cancelled by ann');
  });

  it('passes on what else goes wrong by its own name, to be tried again, and logs it', async () => {
    const told: unknown[] = [];
    const log = { ...cloud.ports.log, warn: (...line: unknown[]) => told.push(line) } as unknown as Log;
    const broken = {
      find: async () => {
        throw Object.assign(new Error('Rate exceeded'), { name: 'ThrottlingException' });
      },
    };
    const handler = stepHandler({ ...cloud.ports, log, records: { ...cloud.ports.records, ...broken } });
    const error = await caught(handler({ step: 'acquire', deploymentId: 'd-1' }));
    expect([error.Error, causeOf(error)]).toEqual(['ThrottlingException', 'Rate exceeded']);
    const fields = { step: 'acquire', deploymentId: 'd-1', error: 'ThrottlingException', reason: 'Rate exceeded' };
    expect(told).toEqual([['a step ended with an error', fields]]);
  });

  it('keeps the cause far below what Step Functions takes, however long a sentence is', async () => {
    const records = {
      ...cloud.ports.records,
      find: async () => {
        throw new StepFailed('BuildFailed', `${'x'.repeat(1999)}🚀${'y'.repeat(100_000)}`);
      },
    };
    const error = await caught(stepHandler({ ...cloud.ports, records })({ step: 'acquire', deploymentId: 'd-1' }));
    expect(error.Error).toBe('BuildFailed');
    expect(error.Cause.length).toBeLessThan(4096);
    expect(causeOf(error)).toMatch(/^x{1999}.$/u);
  });

  it.each([[undefined], [null], ['acquire'], [{}], [{ step: 1 }], [{ step: 'constructor' }], [{ step: 'nowhere' }]])(
    'refuses the payload %j',
    async (payload) => {
      const { Error: name } = await caught(stepHandler(cloud.ports)(payload));
      expect(name).toBe('Error');
    },
  );
});
