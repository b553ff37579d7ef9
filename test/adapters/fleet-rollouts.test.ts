import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isGoing } from '../support/ecs-world.ts';
import { awsFleet, imageArtifact, stackDefinition, type AwsFleet } from '../support/aws-fleet.ts';
import { rolloutOfService } from '../../functions/aws/fleet/rollout-record.ts';
import { bundleArtifact } from '../support/fleet.ts';

let cloud: AwsFleet;
beforeEach(async () => {
  cloud = await awsFleet();
});
afterEach(async () => await cloud.close());

const broken = { env: { BEHAVES: 'unhealthy' } };
const crashing = { env: { BEHAVES: 'exits' } };
const stuck = { env: { BEHAVES: 'slow' } };
const start = async (more: Parameters<AwsFleet['newRollout']>[0] = {}) => {
  const rollout = cloud.newRollout(more);
  await cloud.fleet.startRollout(cloud.ref, rollout);
  return rollout;
};
const observe = async (id: string) => await cloud.fleet.observeRollout(cloud.ref, id);
const view = async () => await cloud.fleet.view(cloud.ref);
const registered = () => cloud.aws.inputs.filter(({ operation }) => operation === 'RegisterTaskDefinition');
const rolledTo = () =>
  cloud.aws.inputs.filter(
    ({ operation, input }) => operation === 'UpdateService' && input.taskDefinition !== undefined,
  );

describe('a rollout', () => {
  it('brings a revision and ends when the old tasks are drained and stopped', async () => {
    const { rollout, end } = await cloud.roll();
    const counts = { desired: 2, newServing: 2, newStarting: 0, oldServing: 0, draining: 0, failed: 0 };
    expect(end).toEqual({ status: 'succeeded', reason: '', counts, marker: expect.any(String) });
    expect(await view()).toMatchObject({ revision: rollout.revision, desiredCount: 2, failures: 0 });
    expect((await view()).tasks.map(({ state, revisionId }) => [state, revisionId])).toEqual([
      ['serving', rollout.revision.id],
      ['serving', rollout.revision.id],
    ]);
    expect(rolledTo()).toHaveLength(1);
  });

  it('never says that it succeeded while an old task drains, and shows each step', async () => {
    cloud.aws.world.settings.drainTicks = 5;
    const { id } = await start();
    const seen: string[] = [];
    for (let ticks = 0; ticks < 40; ticks += 1) {
      const { status, counts, marker } = await observe(id);
      const present = cloud.service.tasks.filter((task) => task.status !== 'STOPPED');
      if (status === 'succeeded') {
        expect(present.every((task) => task.revision === cloud.service.revision)).toBe(true);
        expect(present.every((task) => task.target === 'healthy')).toBe(true);
      }
      expect(counts.oldServing + counts.newServing).toBeGreaterThanOrEqual(2);
      if (seen.at(-1) !== marker) seen.push(marker);
      cloud.aws.world.tick();
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThan(3);
    expect((await observe(id)).status).toBe('succeeded');
  });

  it('waits for the drain where ECS says SUCCESSFUL before it', async () => {
    cloud.aws.world.settings.drainTicks = 6;
    const { id } = await start();
    const deployment = () => cloud.service.deployments[0];
    for (let ticks = 0; ticks < 40 && deployment()?.status !== 'SUCCESSFUL'; ticks += 1) {
      cloud.aws.world.tick();
      const fresh = cloud.service.tasks.filter((task) => task.revision === cloud.service.revision);
      // What `sourceServiceRevisionCleanup: DEFERRED` does: the new ones are healthy, so it is done.
      if (fresh.filter((task) => task.target === 'healthy').length === 2)
        Object.assign(deployment() ?? {}, { status: 'SUCCESSFUL' });
    }
    expect(await observe(id)).toMatchObject({ status: 'in_progress', counts: { newServing: 2, draining: 2 } });
    expect(await cloud.settle(id)).toMatchObject({ status: 'succeeded', counts: { draining: 0 } });
  });

  it('is told to be what runs already, and is done at once', async () => {
    const { rollout } = await cloud.roll();
    const tasks = cloud.service.tasks.length;
    const updates = cloud.service.updates;
    const again = await start({ revision: { ...rollout.revision } });
    expect(await observe(again.id)).toMatchObject({ status: 'succeeded', counts: { newServing: 2 } });
    expect([cloud.service.tasks.length, cloud.service.updates, registered().length]).toEqual([tasks, updates, 1]);
    await cloud.fleet.revertRollout(cloud.ref, again.id, 'undone');
    expect(await observe(again.id)).toMatchObject({ status: 'reverted', reason: 'undone' });
    expect((await view()).revision?.id).toBe(rollout.revision.id);
  });

  it('starts once, however often it is told to', async () => {
    const rollout = cloud.newRollout();
    await Promise.all([1, 2, 3].map(() => cloud.fleet.startRollout(cloud.ref, rollout)));
    await cloud.settle(rollout.id);
    await cloud.fleet.startRollout(cloud.ref, rollout);
    expect(new Set(rolledTo().map(({ input }) => input.taskDefinition)).size).toBe(1);
    expect(cloud.service.deployments).toHaveLength(2);
  });

  it('is found by the service that an event names', async () => {
    const { id } = await start();
    expect(await rolloutOfService(cloud.records, cloud.service.arn)).toBe(id);
    expect(await rolloutOfService(cloud.records, 'arn:another')).toBeUndefined();
  });

  it('keeps what the stack set, and forgets what an earlier revision set', async () => {
    await cloud.roll({ revision: { env: { LEVEL: 'debug', TABLE: 'ours' } } });
    await cloud.roll({ revision: { env: { COLOR: 'blue' } } });
    const environment = registered().map(({ input }) => input.containerDefinitions[0].environment);
    expect(environment).toEqual([
      [
        { name: 'LEVEL', value: 'debug' },
        { name: 'TABLE', value: 'ours' },
        { name: 'PORT', value: '3000' },
      ],
      [
        { name: 'TABLE', value: 'web-table' },
        { name: 'COLOR', value: 'blue' },
        { name: 'PORT', value: '3000' },
      ],
    ]);
  });
});

describe('a rollout on a service whose stack keeps a template', () => {
  const template = { key: 'sluice:template', value: 'web-template' };
  const newTemplate = (cpu: string) => {
    const containers = stackDefinition().containerDefinitions;
    cloud.aws.world.register({ ...stackDefinition(), family: 'web-template', cpu, containerDefinitions: containers });
  };

  it('is built on the newest of the template, in the family of the service', async () => {
    cloud.aws.world.definitions.get(cloud.service.definition)?.tags.push(template);
    newTemplate('512');
    const first = await cloud.roll();
    newTemplate('1024');
    const { end } = await cloud.roll({ revision: { ...first.rollout.revision } });
    expect(end.status).toBe('succeeded');
    expect(registered().map(({ input }) => [input.family, input.cpu])).toEqual([
      ['web-dev', '512'],
      ['web-dev', '1024'],
    ]);
    await cloud.roll({ revision: { ...first.rollout.revision } });
    expect(registered()).toHaveLength(2);
  });
});

describe('a rollout that fails', () => {
  it('is put back by the circuit breaker, with the reason of the last task', async () => {
    const first = await cloud.roll();
    const old = cloud.service.tasks.filter((task) => task.status !== 'STOPPED').map((task) => task.id);
    const { end } = await cloud.roll({ revision: crashing });
    expect(end).toMatchObject({
      status: 'reverted',
      counts: { oldServing: 2, newServing: 0, newStarting: 0, draining: 0 },
    });
    expect(end.reason).toMatch(
      /^The circuit breaker opened after \d failed tasks; the last one: Essential container in task exited \(web exited with code 7\)$/,
    );
    expect(end.counts.failed).toBeGreaterThanOrEqual(2);
    const { revision, tasks } = await view();
    expect(revision).toEqual(first.rollout.revision);
    expect(tasks.map((task) => task.id)).toEqual(old);
    expect(rolledTo()).toHaveLength(2);
  });

  it('is put back when it never becomes healthy', async () => {
    const { end } = await cloud.roll({ revision: broken });
    expect(end).toMatchObject({ status: 'reverted', counts: { oldServing: 2 } });
    expect(end.reason).toMatch(/failed tasks; the last one: Task failed ELB health checks/);
    expect(await view()).toMatchObject({ revision: undefined, desiredCount: 2 });
  });

  it('is put back by an alarm, which is named', async () => {
    const { id } = await start({ revision: stuck });
    cloud.aws.world.tick(2);
    cloud.aws.world.ring(cloud.service, 'web-5xx');
    cloud.aws.world.tick(2);
    expect(await observe(id)).toMatchObject({ status: 'failed', reason: 'The alarm web-5xx rang' });
    expect(await cloud.settle(id)).toMatchObject({ status: 'reverted', reason: 'The alarm web-5xx rang' });
  });

  it('is stopped when its time is over', async () => {
    const { id } = await start({ revision: stuck, policy: { timeLimitSeconds: 60 } });
    expect(await cloud.settle(id)).toMatchObject({
      status: 'reverted',
      reason: '0 of 2 tasks served after 60 s',
      counts: { oldServing: 2, newStarting: 0 },
    });
    expect(
      cloud.aws.inputs.filter(({ operation }) => operation === 'StopServiceDeployment').map(({ input }) => input),
    ).toEqual([{ serviceDeploymentArn: cloud.service.deployments[0]?.arn, stopType: 'ROLLBACK' }]);
  });

  it('says so when ECS cannot put the old revision back', async () => {
    cloud.aws.world.settings.failsRollback = true;
    const { end } = await cloud.roll({ revision: crashing });
    expect(end.status).toBe('revert_failed');
    expect(end.reason).toMatch(/ECS could not roll back: The rollback deployment failed/);
  });

  it('is put back by an update where ECS only stops', async () => {
    const { id } = await start({ revision: stuck });
    cloud.aws.world.tick(3);
    const [deployment] = cloud.service.deployments;
    Object.assign(deployment ?? {}, { status: 'STOPPED', statusReason: 'An alarm was triggered.' });
    expect(await cloud.settle(id)).toMatchObject({ status: 'reverted', reason: 'An alarm was triggered.' });
  });

  it('does not claim what another update of the service took', async () => {
    const { id } = await start({ revision: stuck });
    cloud.aws.world.tick(3);
    const other = cloud.aws.world.register({ family: 'web-dev', containerDefinitions: [{ name: 'web' }] });
    cloud.aws.world.deploy(cloud.service, other.definition.taskDefinitionArn ?? '');
    const end = await cloud.settle(id);
    expect(end.status).toBe('revert_failed');
    expect(end.reason).toBe('another update took its place: the service is to run web-dev:3');
  });

  it('ends where its service is deleted', async () => {
    const { id } = await start();
    cloud.aws.world.services.length = 0;
    expect(await observe(id)).toMatchObject({
      status: 'revert_failed',
      reason: 'The ECS service web-dev is not there any more, or may not be read',
    });
  });
});

describe('a revert', () => {
  it('stops a deployment in the middle, and tells the reason it was given', async () => {
    const first = await cloud.roll();
    const { id } = await start({ revision: stuck });
    cloud.aws.world.tick(3);
    await cloud.fleet.revertRollout(cloud.ref, id, 'cancelled by a person');
    await cloud.fleet.revertRollout(cloud.ref, id, 'twice');
    expect((await observe(id)).status).toBe('failed');
    expect(await cloud.settle(id)).toMatchObject({ status: 'reverted', reason: 'cancelled by a person' });
    expect((await view()).revision?.id).toBe(first.rollout.revision.id);
    expect(cloud.aws.calls.filter((call) => call === 'StopServiceDeployment')).toHaveLength(1);
  });

  it('of one that had succeeded updates back, also to what the stack gave the service', async () => {
    const stack = cloud.service.definition;
    const { rollout } = await cloud.roll();
    await cloud.fleet.revertRollout(cloud.ref, rollout.id, 'an alarm rang');
    expect((await observe(rollout.id)).status).toBe('failed');
    const end = await cloud.settle(rollout.id);
    expect(end).toMatchObject({
      status: 'reverted',
      reason: 'an alarm rang',
      counts: { oldServing: 2, newServing: 0 },
    });
    expect(cloud.service.definition).toBe(stack);
    await cloud.fleet.revertRollout(cloud.ref, rollout.id, 'again');
    expect(await observe(rollout.id)).toEqual(end);
    expect(rolledTo()).toHaveLength(2);
  });

  it('of one never started counts, and it does not start later', async () => {
    const rollout = cloud.newRollout();
    await cloud.fleet.revertRollout(cloud.ref, rollout.id, 'cancelled before');
    expect(await observe(rollout.id)).toMatchObject({ status: 'reverted', reason: 'cancelled before' });
    await cloud.fleet.startRollout(cloud.ref, rollout);
    expect([rolledTo().length, registered().length]).toEqual([0, 0]);
  });

  it('that comes when the deployment has just ended is done by an update', async () => {
    const stack = cloud.service.definition;
    const { id } = await start();
    cloud.aws.world.tick();
    await observe(id);
    for (let ticks = 0; ticks < 40 && cloud.service.deployments.some(isGoing); ticks += 1) cloud.aws.world.tick();
    await cloud.fleet.revertRollout(cloud.ref, id, 'too late');
    expect(await cloud.settle(id)).toMatchObject({ status: 'reverted', reason: 'too late' });
    expect(cloud.service.definition).toBe(stack);
  });

  it('that crosses the start on its way leaves what ran before', async () => {
    const stack = cloud.service.definition;
    const rollout = cloud.newRollout();
    let isCrossed = false;
    cloud.aws.script.beforeCall = (operation) => {
      if (operation !== 'UpdateService' || isCrossed) return;
      isCrossed = true;
      crossing = cloud.fleet.revertRollout(cloud.ref, rollout.id, 'crossed');
    };
    let crossing: Promise<void> | undefined;
    await cloud.fleet.startRollout(cloud.ref, rollout);
    await crossing;
    expect(await cloud.settle(rollout.id)).toMatchObject({ status: 'reverted' });
    expect(cloud.service.definition).toBe(stack);
  });

  it('tells when the definition from before can be run no more', async () => {
    const { rollout } = await cloud.roll();
    Object.assign(cloud.aws.world.definitions.values().next().value?.definition ?? {}, { status: 'INACTIVE' });
    await cloud.fleet.revertRollout(cloud.ref, rollout.id, 'an alarm rang');
    const end = await cloud.settle(rollout.id);
    expect(end.status).toBe('revert_failed');
    expect(end.reason).toMatch(/an alarm rang; ECS refused the update .* TaskDefinition is inactive/);
  });
});

describe('a rollout that takes over', () => {
  it('from a running one succeeds, and the other says that it was taken over', async () => {
    await cloud.roll();
    const first = await start({ revision: stuck });
    cloud.aws.world.tick(3);
    const { end } = await cloud.roll();
    expect(end.status).toBe('succeeded');
    expect(await observe(first.id)).toMatchObject({ status: 'revert_failed', reason: 'a later rollout took over' });
    await cloud.fleet.revertRollout(cloud.ref, first.id, 'late');
    expect((await observe(first.id)).status).toBe('revert_failed');
  });

  it('and fails goes back to the last good revision', async () => {
    const good = await cloud.roll();
    await start({ revision: stuck });
    cloud.aws.world.tick(3);
    const { end } = await cloud.roll({ revision: crashing });
    expect(end).toMatchObject({ status: 'reverted', counts: { oldServing: 2 } });
    expect((await view()).revision).toEqual(good.rollout.revision);
  });

  it('after which the earlier one cannot be undone', async () => {
    const first = await cloud.roll();
    await cloud.roll();
    await cloud.fleet.revertRollout(cloud.ref, first.rollout.id, 'an alarm rang');
    expect(await observe(first.rollout.id)).toMatchObject({
      status: 'revert_failed',
      reason: 'an alarm rang; but a later rollout has taken its place',
    });
  });
});

describe('what can be seen to be impossible', () => {
  const refused = async (change: () => void, more: Parameters<AwsFleet['newRollout']>[0] = {}) => {
    change();
    const failure = await start(more).catch((error: unknown) => error);
    expect([registered().length, rolledTo().length]).toEqual([0, 0]);
    return failure;
  };

  it('is a service that is not there, not ours, or of another controller', async () => {
    const missing = { ...cloud.ref, target: { ...cloud.ref.target, service: 'nobody' } };
    await expect(cloud.fleet.startRollout(missing, cloud.newRollout())).rejects.toThrow(
      'targets.service: expected an ECS service with the tag sluice:managed = sluice: nobody in the cluster main is none',
    );
    const { service: _, ...unnamed } = cloud.ref.target;
    await expect(cloud.fleet.startRollout({ ...cloud.ref, target: unnamed }, cloud.newRollout())).rejects.toThrow(
      'targets.service: expected the name of the ECS service of the target web-dev',
    );
    expect(await refused(() => void (cloud.service.controller = 'CODE_DEPLOY'))).toMatchObject({
      kind: 'invalid',
      message: 'targets.service: expected an ECS service with the deployment controller ECS, not CODE_DEPLOY',
    });
    expect(await refused(() => void cloud.service.tags.pop())).toMatchObject({
      message: 'targets.service: expected an ECS service that carries the tag sluice:environment = dev',
      issues: [{ field: 'targets.service' }],
    });
  });

  it('is a container, a bundle, a port, an image or percentages that do not fit', async () => {
    const other = { ...cloud.ref, target: { ...cloud.ref.target, container: 'sidecar' } };
    await expect(cloud.fleet.startRollout(other, cloud.newRollout())).rejects.toThrow(
      "targets.container: expected a container of the service's task definition: it has web, and no sidecar",
    );
    const bundle = bundleArtifact(imageArtifact.digest);
    expect(await refused(() => {}, { revision: { artifact: bundle, command: ['node', 'a.mjs'] } })).toMatchObject({
      message:
        'targets.service: expected a service whose tasks have the init container sluice-bundle, which fetches bundles',
    });
    expect(await refused(() => {}, { revision: { port: 8080 } })).toMatchObject({
      message: 'runtime.port: expected 3000, where the load balancer of the service web-dev asks',
    });
    const unnamed = { ...imageArtifact, reference: imageArtifact.digest };
    expect(await refused(() => {}, { revision: { artifact: unnamed } })).toMatchObject({ kind: 'unsupported' });
    expect(await cloud.fleet.refuses(unnamed)).toMatch(/^ECS runs images by/);
    expect(await cloud.fleet.refuses(imageArtifact)).toBeUndefined();
    expect(await cloud.fleet.refuses(bundle)).toBeUndefined();
    const fixed = { minimumHealthyPercent: 100, maximumPercent: 100 };
    expect(await refused(() => {}, { policy: fixed })).toMatchObject({
      kind: 'invalid',
      issues: [{ field: 'rollout' }],
    });
  });

  it('is to observe a rollout that was never started', async () => {
    await expect(observe('nobody')).rejects.toMatchObject({ name: 'Problem', kind: 'not-found' });
  });
});
