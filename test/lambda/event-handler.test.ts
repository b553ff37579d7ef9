import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recallBuildRun } from '../../functions/aws/build-runs.ts';
import { rememberRolloutOfService } from '../../functions/aws/fleet/rollout-record.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
import { changeDeployment, getDeployment } from '../../functions/deployments/store.ts';
import { rememberWaiter } from '../../functions/deployments/wake.ts';
import { eventHandler, type EventHandler } from '../../functions/lambda/event-handler.ts';
import type { EventPorts } from '../../functions/ports/ports.ts';
import type { Log } from '../../functions/runtime/log.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import type { OpenRecords } from '../../local/records.ts';
import { openTestRecords } from '../support/records.ts';
import { scriptedCloud, twoTargets } from '../support/scripted-cloud.ts';
import {
  buildEvent,
  deploymentEvent,
  executionEvent,
  serviceActionEvent,
  serviceArn,
  taskEvent,
} from './documented-events.ts';

/** The day of AWS's example of a build: what is remembered of one goes after a year. */
const clock = () => Date.parse('2017-09-02T00:00:00Z');
let stores: OpenRecords;
let resumed: string[];
let logged: string[];
let ports: EventPorts;
let take: EventHandler;
const logInto = (lines: string[]): Log => {
  const at = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
  return { debug: () => {}, info: at('info'), warn: at('warn'), error: at('error'), with: () => logInto(lines) };
};
beforeEach(async () => {
  stores = await openTestRecords({ clock });
  resumed = [];
  logged = [];
  ports = {
    records: stores.records,
    clock,
    log: logInto(logged),
    metrics: { deploymentEnded: () => {}, buildEnded: () => {} },
    workflow: {
      start: async () => {
        throw new Error('nothing is to be started here');
      },
      isRunning: async () => false,
      // A token serves once.
      resume: async (token) => {
        const isFirst = !resumed.includes(token);
        resumed.push(token);
        return isFirst;
      },
    },
  };
  take = eventHandler(ports, { prefix: 'sluice' });
});
afterEach(async () => await stores.close());

async function waiting(): Promise<void> {
  await rememberRolloutOfService(stores.records, serviceArn, 'rollout-1');
  await rememberWaiter(ports, 'rollout-1', { token: 'token-1' });
}

describe('an event of a service', () => {
  it.each([
    ['a deployment that completed', deploymentEvent()],
    ['a deployment that failed', deploymentEvent('SERVICE_DEPLOYMENT_FAILED')],
    ['a deployment that began', deploymentEvent('SERVICE_DEPLOYMENT_IN_PROGRESS')],
    ['a service that is steady', serviceActionEvent()],
    ['a task that runs', taskEvent()],
  ])('wakes whoever waits for its rollout: %s', async (_what, event) => {
    await waiting();
    await take(event);
    expect(resumed).toEqual(['token-1']);
  });

  it('wakes the newest waiter only, and comes twice or late without harm', async () => {
    await waiting();
    await take(deploymentEvent());
    await take(deploymentEvent());
    await rememberWaiter(ports, 'rollout-1', { token: 'token-2' });
    await take(deploymentEvent('SERVICE_DEPLOYMENT_IN_PROGRESS'));
    expect(resumed).toEqual(['token-1', 'token-1', 'token-2']);
    expect(logged).toEqual([]);
  });

  it('is passed over when the service is nobody of ours, or nobody waits', async () => {
    await take(deploymentEvent());
    await rememberRolloutOfService(stores.records, serviceArn, 'rollout-1');
    await take(taskEvent());
    await waiting();
    await take(taskEvent('family:sample-fargate'));
    await take(taskEvent('service:another'));
    expect([resumed, logged]).toEqual([[], []]);
  });

  it('is thrown when it cannot be taken, so that it comes again', async () => {
    await waiting();
    const workflow = { ...ports.workflow, resume: async () => Promise.reject(new Problem('busy', 'try again')) };
    await expect(eventHandler({ ...ports, workflow }, { prefix: 'sluice' })(taskEvent())).rejects.toThrow('try again');
    expect(logged).toEqual(['error an event could not be taken']);
  });
});

describe('an event of a build', () => {
  it('tells what CodeBuild calls it, and where its log is', async () => {
    await take(buildEvent({ buildId: 'b-1', timeoutSeconds: 600 }));
    await take(buildEvent({ buildId: 'b-1', timeoutSeconds: 600 }));
    expect(await recallBuildRun(stores.records, 'b-1')).toEqual({
      runId: 'sluice-build-image:8745a7a9-c340-456a-9166-edf953571bEX',
      startedAt: Date.parse('2017-09-01T16:12:29Z'),
      log: { group: '/sluice/build/image', stream: '8745a7a9-c340-456a-9166-edf953571bEX' },
    });
  });

  it('is passed over when it is of a project of others', async () => {
    await take(buildEvent({ buildId: 'b-1' }, { project: 'their-build' }));
    expect(await recallBuildRun(stores.records, 'b-1')).toBeUndefined();
  });
});

describe('the end of an execution', () => {
  let cloud: Awaited<ReturnType<typeof scriptedCloud>>;
  let takeInCloud: EventHandler;
  const deploy = async () =>
    await requestDeployment(cloud.ports, {
      app: 'web',
      environment: 'dev',
      request: { kind: 'source', ref: 'main', commit: 'a'.repeat(40) },
      trigger: { kind: 'api', actor: 'ann' },
    });
  beforeEach(async () => {
    cloud = await scriptedCloud();
    await cloud.apply('web', twoTargets);
    // The ports as they are then: a workflow that was lost is another one.
    takeInCloud = async (event) => await eventHandler({ ...cloud.ports, log: ports.log }, { prefix: 'sluice' })(event);
  });
  afterEach(async () => await cloud.close());

  /** Building, and its execution lost. */
  async function lost(): Promise<string> {
    cloud.script.build = () => 'never';
    const { id } = await deploy();
    await cloud.reached(id, 'building');
    await cloud.loseWorkflow();
    // Whether it was started before or is started now.
    cloud.script.build = () => 'succeeded';
    cloud.builder.release();
    return id;
  }

  it.each(['FAILED', 'TIMED_OUT', 'ABORTED'])('goes on with the deployment: %s', async (status) => {
    const id = await lost();
    await takeInCloud(executionEvent(id, status));
    expect((await cloud.settled(id)).state.status).toBe('succeeded');
  });

  it('goes on with it when it was a later execution, and twice without harm', async () => {
    const id = await lost();
    await Promise.all([takeInCloud(executionEvent(`${id}-3`, 'FAILED')), takeInCloud(executionEvent(id, 'FAILED'))]);
    expect((await cloud.settled(id)).state.status).toBe('succeeded');
    await takeInCloud(executionEvent(id, 'SUCCEEDED'));
    await takeInCloud(executionEvent(id, 'FAILED'));
    expect(await cloud.ports.workflow.isRunning(id)).toBe(false);
  });

  it('frees the lane of a deployment that has ended', async () => {
    const id = await lost();
    const end = { status: 'failed', reason: 'for this test', endedAt: Date.now() } as const;
    await changeDeployment(cloud.ports.records, id, (found) => ({ ...found, state: end }));
    // However short it was: nothing is begun for it.
    await takeInCloud(executionEvent(id, 'ABORTED', { ranMs: 10 }));
    expect((await getDeployment(cloud.ports.records, id)).settled).toBe(true);
  });

  it('is left to reconcile when it came within a minute: what fails at once must not do so in a circle', async () => {
    const id = await lost();
    await takeInCloud(executionEvent(id, 'FAILED', { ranMs: 59_000 }));
    expect(await cloud.ports.workflow.isRunning(id)).toBe(false);
    await takeInCloud(executionEvent(id, 'FAILED', { ranMs: 60_000 }));
    expect((await cloud.settled(id)).state.status).toBe('succeeded');
  });

  it('is passed over while it runs, for one begun by hand, and for a deployment that is not there', async () => {
    const id = await lost();
    await takeInCloud(executionEvent(id, 'RUNNING'));
    await takeInCloud(executionEvent('by-hand', 'FAILED'));
    await takeInCloud(executionEvent('019a9f3e-4b7c-7d11-9a53-3a5e0d6c2b10', 'FAILED'));
    expect(await cloud.ports.workflow.isRunning(id)).toBe(false);
  });

  it('is passed over when the deployment runs again already', async () => {
    cloud.script.build = () => 'never';
    const { id } = await deploy();
    await cloud.reached(id, 'building');
    const starts: string[] = [];
    const workflow = { ...cloud.ports.workflow, start: async (one: string) => void starts.push(one) };
    await eventHandler({ ...cloud.ports, workflow }, { prefix: 'sluice' })(executionEvent(id, 'FAILED'));
    expect(starts).toEqual([]);
  });
});

describe('an event that is not as documented', () => {
  const wrong = {
    'is no object': 'text',
    'is nothing': undefined,
    'has no type': {},
    'has no service': { ...deploymentEvent(), resources: [] },
    'has a service of another form': { ...deploymentEvent(), resources: ['arn:aws:ecs:eu-central-1:1:service/web'] },
    'has no detail': { ...taskEvent(), detail: undefined },
    'has no time': { ...buildEvent({ buildId: 'b-1' }), time: 'yesterday' },
    'comes from another source': { ...deploymentEvent(), source: 'their.app' },
    'has no execution': { ...executionEvent('x', 'FAILED'), detail: { status: 'FAILED' } },
  };
  it.each(Object.entries(wrong))('is passed over with a line in the log: one that %s', async (_what, event) => {
    await waiting();
    await take(event);
    expect(resumed).toEqual([]);
    expect(logged).toEqual(['warn an event was passed over: it is not as documented']);
  });

  it.each(['AWS API Call via CloudTrail', 'constructor', '__proto__'])(
    'is passed over when it is of another kind: %s',
    async (type) => {
      await take({ ...deploymentEvent(), 'detail-type': type });
      expect(logged).toEqual([]);
    },
  );
});
