import { afterEach, describe, expect, it } from 'vitest';
import { v7 } from 'uuid';
import { applyApp } from '../../functions/apps/registry.ts';
import type { AppInput } from '../../functions/apps/schema.ts';
import { rolloutOfService } from '../../functions/aws/fleet/rollout-record.ts';
import { cancelDeployment } from '../../functions/deployments/cancel.ts';
import type { Deployment } from '../../functions/deployments/deployment.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
import { getDeployment } from '../../functions/deployments/store.ts';
import { resume } from '../../functions/deployments/turn.ts';
import { wakeRollout } from '../../functions/deployments/wake.ts';
import type { Fleet } from '../../functions/ports/fleet.ts';
import { defaultLimits, defaultOidc } from '../../functions/ports/limits.ts';
import type { Ports } from '../../functions/ports/ports.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import { runStep } from '../../functions/workflow/steps.ts';
import { localWorkflow, readDefinition } from '../../local/workflow.ts';
import { killEvery } from '../support/density.ts';
import { idleJobs } from '../support/idle-jobs.ts';
import { awsFleet, stackDefinition, twoServices, type AwsFleet } from '../support/aws-fleet.ts';
import { openTestRecords } from '../support/records.ts';
import { scriptedBuilder } from '../support/scripted-builder.ts';
import { until } from '../support/scripted-cloud.ts';
import { Killed } from '../support/scripted-ecs.ts';

/** How the events of ECS reach whoever waits. */
type Events = 'once' | 'twice' | 'never';

const appOf = (behaves: string, rollout: object = {}): AppInput =>
  twoServices(behaves, { timeLimitSeconds: 86_400, ...rollout });

/** The whole workflow with the fleet of AWS on the scripted ECS; each look at it lets ECS take one step. */
async function awsCloud(options: { readonly events?: Events } = {}) {
  const { records, close } = await openTestRecords();
  const fleetOf = await awsFleet({ records });
  const { aws } = fleetOf;
  const containers = [...(stackDefinition().containerDefinitions ?? []), { name: 'sluice-bundle', essential: false }];
  const definitions = { definition: { containerDefinitions: containers } };
  const services = {
    one: fleetOf.addTarget('one', definitions).service,
    two: fleetOf.addTarget('two', definitions).service,
  };
  aws.world.settings.tickMs = 1000;
  const events = options.events ?? 'once';
  const woken: Promise<unknown>[] = [];
  const onEvent = async (serviceArn: string) => {
    const rolloutId = await rolloutOfService(records, serviceArn);
    if (rolloutId !== undefined) await wakeRollout(ports, rolloutId);
  };
  aws.world.settings.onEvent = (arn) => {
    for (let times = events === 'twice' ? 2 : events === 'once' ? 1 : 0; times > 0; times -= 1)
      woken.push(onEvent(arn));
  };
  const builder = scriptedBuilder({ script: () => () => 'succeeded' });
  const definition = await readDefinition(new URL('../../functions/workflow/deploy.asl.json', import.meta.url));
  const killed = { isDead: false };
  const newWorkflow = () => {
    const its = localWorkflow({
      definition,
      builder: builder.builder,
      log: silentLog,
      runStep: async (payload) => {
        try {
          const answer = await runStep(ports, payload);
          // Time is to pass in the test as it does in its ECS: what waits half a minute there waits a second here.
          return 'waitSeconds' in answer ? { ...answer, waitSeconds: 1 } : answer;
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
          killed.isDead = true;
          // A killed process answers nobody.
          return await new Promise<never>(() => {});
        }
      },
    });
    return its;
  };
  let workflow = newWorkflow();
  const fleet: Fleet = fleetOf.fleet;
  const ports: Ports = {
    records,
    get workflow() {
      return workflow;
    },
    fleet,
    builder: builder.builder,
    objects: {} as Ports['objects'],
    ...idleJobs,
    secrets: { findVersion: async () => 'v1', list: async () => [] } as Partial<Ports['secrets']> as Ports['secrets'],
    clock: () => aws.world.now(),
    newId: v7,
    log: silentLog,
    metrics: { deploymentEnded: () => {}, buildEnded: () => {} },
    policy: {
      source: { allowFile: false, ownRemote: undefined },
      fetch: { allowPrivateHosts: false, maxBytes: 1e9 },
      limits: defaultLimits,
      oidc: defaultOidc,
    },
  };
  const deploy = async (app: AppInput): Promise<Deployment> => {
    await applyApp(ports, { id: 'web', input: app });
    return await requestDeployment(ports, {
      app: 'web',
      environment: 'dev',
      request: { kind: 'source', ref: 'main', commit: 'c'.repeat(40) },
      trigger: { kind: 'api', actor: 'ann' },
    });
  };
  /** Lets ECS go on until the deployment has ended. */
  const settled = async (id: string): Promise<Deployment> =>
    await until(
      async () => {
        aws.world.tick();
        if (killed.isDead) await recover(id);
        return await getDeployment(records, id);
      },
      (deployment) => deployment.settled,
    );
  const recover = async (id: string) => {
    killed.isDead = false;
    void workflow.close();
    aws.script.killAfter = undefined;
    workflow = newWorkflow();
    await resume(ports, await getDeployment(records, id));
  };
  return {
    ...fleetOf,
    ports,
    services,
    deploy,
    settled,
    close: async () => {
      await Promise.allSettled(woken);
      await workflow.close();
      await close();
    },
  };
}

type Cloud = Awaited<ReturnType<typeof awsCloud>>;
let cloud: Cloud;
afterEach(async () => await cloud.close());

const told = (deployment: Deployment) => deployment.timeline.map(({ text }) => text).join('\n');
const runs = async (name: 'one' | 'two') => {
  const ref = { ...cloud.ref, target: { ...cloud.ref.target, name, service: name } };
  return (await cloud.fleet.view(ref)).revision?.id;
};
const servesAll = (service: AwsFleet['service']) => {
  const present = service.tasks.filter(({ status }) => status !== 'STOPPED');
  return present.length === 2 && present.every((task) => cloud.aws.world.serving(service, task));
};

describe('a deployment on ECS', () => {
  it.each<Events>(['once', 'twice', 'never'])('succeeds and is drained, with its events told %s', async (events) => {
    cloud = await awsCloud({ events });
    const end = await cloud.settled((await cloud.deploy(appOf('healthy'))).id);
    expect(end.state).toMatchObject({ status: 'succeeded' });
    expect(told(end)).toContain('one: 2 of 2 new tasks serve, the old ones are drained and stopped');
    expect(told(end)).toContain('two: 2 of 2 new tasks serve, the old ones are drained and stopped');
    expect([await runs('one'), await runs('two')]).toEqual([end.revision?.id, end.revision?.id]);
    expect(Object.values(cloud.services).every(servesAll)).toBe(true);
  });

  it('that the circuit breaker ends is rolled back, and says why', async () => {
    cloud = await awsCloud();
    const good = await cloud.settled((await cloud.deploy(appOf('healthy'))).id);
    const end = await cloud.settled((await cloud.deploy(appOf('exits'))).id);
    expect(end.state.status).toBe('rolled_back');
    expect(JSON.stringify(end.state)).toMatch(
      /one: The circuit breaker opened after [34] failed tasks; .*exited with code 7/,
    );
    expect(told(end)).toContain('one: the old revision serves again');
    expect(told(end)).not.toContain('two: 2 of 2 new tasks serve');
    expect(told(end)).not.toContain('none served before');
    expect([await runs('one'), await runs('two')]).toEqual([good.revision?.id, good.revision?.id]);
    expect(Object.values(cloud.services).every(servesAll)).toBe(true);
  });

  it('that an alarm ends is rolled back, the first wave too', async () => {
    cloud = await awsCloud();
    const good = await cloud.settled((await cloud.deploy(appOf('healthy'))).id);
    const next = await cloud.deploy(appOf('slow'));
    cloud.aws.world.settings.behaviour = () => 'healthy';
    await until(
      async () => {
        cloud.aws.world.tick();
        return cloud.services.two.deployments[0];
      },
      (deployment) => deployment?.status === 'IN_PROGRESS' && deployment.definition === cloud.services.two.definition,
    );
    cloud.aws.world.ring(cloud.services.two, 'web-5xx');
    const end = await cloud.settled(next.id);
    expect(end.state).toMatchObject({ status: 'rolled_back', reason: 'two: The alarm web-5xx rang' });
    expect([await runs('one'), await runs('two')]).toEqual([good.revision?.id, good.revision?.id]);
  });

  it('whose task fails while it is watched is rolled back', async () => {
    cloud = await awsCloud();
    const stack = cloud.services.one.definition;
    const next = await cloud.deploy(appOf('healthy', { bakeSeconds: 3600 }));
    await until(
      async () => {
        cloud.aws.world.tick();
        return await getDeployment(cloud.records, next.id);
      },
      ({ failuresBefore }) => failuresBefore !== undefined,
    );
    const [task] = cloud.services.one.tasks.filter(({ status }) => status === 'RUNNING');
    if (!task) throw new Error('nothing runs');
    const reason = 'Essential container in task exited';
    cloud.aws.world.fail(cloud.services.one, task, { code: 'EssentialContainerExited', reason, exitCode: 9 });
    const end = await cloud.settled(next.id);
    expect(end.state.status).toBe('rolled_back');
    expect(JSON.stringify(end.state)).toMatch(/one: a task failed while it was watched: Essential container/);
    expect(cloud.services.one.definition).toBe(stack);
  });

  it('that is cancelled while it rolls is undone', async () => {
    cloud = await awsCloud();
    const stack = cloud.services.one.definition;
    const next = await cloud.deploy(appOf('slow'));
    await until(
      async () => {
        cloud.aws.world.tick();
        return cloud.services.one.deployments[0]?.status;
      },
      () => cloud.services.one.definition !== stack,
    );
    await cancelDeployment(cloud.ports, { id: next.id, actor: 'ann' });
    const end = await cloud.settled(next.id);
    expect(end.state).toMatchObject({ status: 'cancelled', reason: 'Cancelled by ann; what was changed is undone' });
    expect(cloud.services.one.definition).toBe(stack);
    expect(Object.values(cloud.services).every(servesAll)).toBe(true);
  });

  it.each([false, true])('goes on where the control plane was killed, at any call (done: %s)', async (isDone) => {
    for (let calls = isDone ? 1 : 0; ; calls += killEvery(9)) {
      cloud = await awsCloud();
      cloud.aws.forgetCalls();
      cloud.aws.script.killAfter = { calls, isDone };
      const end = await cloud.settled((await cloud.deploy(appOf('healthy'))).id);
      const wasKilled = cloud.aws.script.killAfter === undefined;
      cloud.aws.script.killAfter = undefined;
      expect(end.state.status).toBe('succeeded');
      for (const service of Object.values(cloud.services)) expect(service.deployments).toHaveLength(2);
      expect([await runs('one'), await runs('two')]).toEqual([end.revision?.id, end.revision?.id]);
      // What comes after the first target's rollout is the same again.
      if (!wasKilled || calls >= 10) break;
      await cloud.close();
    }
  });
});
