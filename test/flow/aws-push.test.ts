import { afterEach, describe, expect, it } from 'vitest';
import type { AppInput } from '../../functions/apps/schema.ts';
import type { Deployment } from '../../functions/deployments/deployment.ts';
import { getDeployment } from '../../functions/deployments/store.ts';
import { adminToken, awsCloud, webhookSecret, type AwsCloud, type AwsCloudOptions } from '../support/aws-cloud.ts';
import { imageOf } from '../support/timed-builds.ts';

const quick: AwsCloudOptions = { buildSeconds: 60 };
const commits = { first: 'a'.repeat(40), second: 'b'.repeat(40), third: 'c'.repeat(40) };
const databaseUrls = { old: 'postgres://marked-old-password@db/web', new: 'postgres://marked-new-password@db/web' };

const appOf = (
  more: { readonly env?: Record<string, string>; readonly secrets?: Record<string, string> } = {},
): AppInput => ({
  source: { repoUrl: 'https://github.com/acme/web' },
  build: { kind: 'image' },
  runtime: { env: more.env ?? {}, secrets: more.secrets ?? {}, stopTimeoutSeconds: 20 },
  environments: [
    {
      name: 'dev',
      branch: 'main',
      targets: [target('one', 0), target('two', 0), target('three', 1)],
      rollout: { timeLimitSeconds: 3600 },
    },
  ],
});
function target(name: string, wave: number) {
  return { name, cluster: 'main', service: name, container: 'web', wave };
}

let cloud: AwsCloud;
const open = async (options: AwsCloudOptions = quick) => (cloud = await awsCloud(options));

afterEach(async () => {
  await cloud.close();
});

const find = async (id: string) => await getDeployment(cloud.ports.records, id);

/** Lets time pass until it has ended and its lane is free. */
async function settled(id: string): Promise<Deployment> {
  await cloud.until(async () => (await find(id)).settled);
  return await find(id);
}

async function pushed(commit: string): Promise<string> {
  const { status, body } = await cloud.push(commit);
  expect(status).toBe(202);
  return (body as { deployments: [{ id: string }] }).deployments[0].id;
}

async function setSecret(value: string): Promise<void> {
  const { status } = await cloud.request('PUT', '/api/v1/apps/web/secrets/database-url', { body: { value } });
  expect(status).toBeLessThan(300);
}

/** The one container that is ours to change, as each service runs it. */
function running() {
  return Object.values(cloud.services).map(({ definition }) => {
    const made = cloud.world.definitions.get(definition)?.definition;
    const { image, environment = [], secrets = [] } = made?.containerDefinitions?.[0] ?? {};
    return {
      image,
      env: Object.fromEntries(environment.map(({ name, value }) => [name, value])),
      secrets: Object.fromEntries(secrets.map(({ name, valueFrom }) => [name, valueFrom])),
    };
  });
}

/** The same on each of the three services. */
const onEach = <T>(value: T): readonly T[] => [value, value, value];

const allServe = () =>
  Object.values(cloud.services).every((service) => {
    const present = service.tasks.filter(({ status }) => status !== 'STOPPED');
    return present.length === 2 && present.every((task) => cloud.world.serving(service, task));
  });

const asked = (operation: string) => cloud.asked.filter((entry) => entry.operation === operation);

/** Nothing that is secret is in what AWS was asked, in the log, or in an event; but for the value that is kept. */
function expectNoSecret(): void {
  const inputs = cloud.asked.filter(({ operation }) => operation !== 'PutSecretValue');
  const text = JSON.stringify([inputs, cloud.codeBuild.runs.map(({ input }) => input), cloud.logged, cloud.events]);
  expect(inputs.length).toBeGreaterThan(100);
  for (const secret of ['marked-', adminToken, webhookSecret]) expect(text).not.toContain(secret);
}

describe('a push to an installation on AWS', () => {
  it('is built, rolled out by its digest in two waves, and told', async () => {
    await open();
    await cloud.apply(appOf({ env: { NODE_ENV: 'production' }, secrets: { DATABASE_URL: 'database-url' } }));
    await setSecret(databaseUrls.old);
    const id = await pushed(commits.first);
    const end = await settled(id);

    expect(end.state).toMatchObject({ status: 'succeeded' });
    expect(end.commit).toBe(commits.first);
    const [build, ...more] = cloud.codeBuild.runs;
    expect(more).toEqual([]);
    expect(build?.input).toMatchObject({
      projectName: 'sluice-test-build-image',
      serviceRoleOverride: expect.stringMatching(/web$/),
      timeoutInMinutesOverride: 10,
    });
    const [{ valueFrom } = { valueFrom: undefined }] =
      [...cloud.world.definitions.values()].at(-1)?.definition.containerDefinitions?.[0]?.secrets ?? [];
    const version = cloud.secretsManager.labels('sluice-test/apps/web/secret/database-url');
    expect(valueFrom).toMatch(/^arn:aws:secretsmanager:.*:::/);
    expect(Object.keys(version)).toContain(valueFrom?.split(':::')[1]);
    expect(running()).toEqual(
      onEach({
        image: imageOf('web', commits.first),
        env: expect.objectContaining({ NODE_ENV: 'production', TABLE: 'web-table', PORT: '3000' }),
        secrets: { DATABASE_URL: valueFrom },
      }),
    );
    expect(allServe()).toBe(true);

    const order = asked('UpdateService').map(({ input }) => (input as { service: string }).service);
    expect(order).toHaveLength(3);
    expect(order.at(-1)).toBe('three');
    const told = end.timeline.map(({ text }) => text);
    const drained = (name: string) =>
      told.indexOf(`${name}: 2 of 2 new tasks serve, the old ones are drained and stopped`);
    expect(drained('one')).toBeGreaterThan(-1);
    expect(told.findIndex((text) => text.startsWith('three:'))).toBeGreaterThan(
      Math.max(drained('one'), drained('two')),
    );
    expectNoSecret();
  });

  it('takes no more steps than its rollouts have news', async () => {
    await open({ buildSeconds: 300, ecs: { stepSeconds: 20, drainSteps: 4 } });
    await cloud.apply(appOf());
    cloud.forget();
    await settled(await pushed(commits.first));
    const { entered } = cloud.machine;
    expect(entered.get('StartRollout')).toBe(3);
    expect(entered.get('Observe')).toBe((entered.get('AwaitChange') ?? 0) + 3);
    // `npm run bench` has what it costs: 150 of them are three quarters of the half cent that three services may.
    expect(cloud.machine.transitions()).toBeLessThanOrEqual(150);
    expect(cloud.events.length).toBeLessThanOrEqual(30);
  });

  it('that is delivered again begins nothing again', async () => {
    await open();
    await cloud.apply(appOf());
    const first = await cloud.push(commits.first, 'delivery-1');
    const again = await cloud.push(commits.first, 'delivery-1');
    expect([first.status, again.status]).toEqual([202, 200]);
    const [{ id }] = (first.body as { deployments: [{ id: string }] }).deployments;
    await settled(id);
    const late = await cloud.push(commits.first, 'delivery-2');
    expect(late.body).toMatchObject({ deployments: [{ id }] });
    expect(cloud.machine.executions.size).toBe(1);
    expect(cloud.codeBuild.runs).toHaveLength(1);
  });

  it('with a wrong signature is refused, and nothing is begun', async () => {
    await open();
    await cloud.apply(appOf());
    const refused = await cloud.request('POST', '/webhooks/github', {
      body: {},
      headers: {
        'x-github-event': 'push',
        'x-github-delivery': 'one',
        'x-hub-signature-256': `sha256=${'0'.repeat(64)}`,
      },
    });
    expect(refused.status).toBe(401);
    expect(cloud.machine.executions.size).toBe(0);
  });

  it('whose tasks exit is rolled back, with the reason, and the old revision serves', async () => {
    await open();
    await cloud.apply(appOf());
    await settled(await pushed(commits.first));
    cloud.breaks(commits.second);
    const end = await settled(await pushed(commits.second));
    expect(end.state).toMatchObject({
      status: 'rolled_back',
      reason: expect.stringMatching(
        /^(one|two): The circuit breaker opened after [34] failed tasks; .*exited with code 7/,
      ),
    });
    expect(running().map(({ image }) => image)).toEqual(onEach(imageOf('web', commits.first)));
    expect(allServe()).toBe(true);
    expect(end.timeline.map(({ text }) => text).filter((text) => text.startsWith('three:'))).toEqual([]);
    expectNoSecret();
  });

  it('whose build fails ends with the build’s own words, and changes nothing that runs', async () => {
    await open();
    await cloud.apply(appOf());
    cloud.builds.script.ends = () => 'failed';
    const end = await settled(await pushed(commits.first));
    expect(end.state).toMatchObject({
      status: 'failed',
      reason: 'The command exited with code 1; nothing that runs was changed',
    });
    expect(asked('UpdateService')).toEqual([]);
    const { body } = await cloud.request('GET', `/api/v1/deployments/${end.id}`);
    expect(body).toMatchObject({ status: 'failed', reason: end.state.status === 'failed' ? end.state.reason : '' });
  });

  it('that is cancelled while it is built stops the build', async () => {
    await open();
    await cloud.apply(appOf());
    const id = await pushed(commits.first);
    await cloud.until(() => cloud.codeBuild.runs.length === 1);
    const { status } = await cloud.request('POST', `/api/v1/deployments/${id}/cancel`);
    expect(status).toBe(202);
    const end = await settled(id);
    expect(end.state).toMatchObject({
      status: 'cancelled',
      reason: expect.stringContaining('nothing that runs was changed'),
    });
    expect(asked('StopBuild')).not.toEqual([]);
    expect(asked('UpdateService')).toEqual([]);
  });

  it('that is cancelled while it rolls is undone', async () => {
    await open();
    await cloud.apply(appOf());
    await settled(await pushed(commits.first));
    const id = await pushed(commits.second);
    await cloud.until(() => running()[0]?.image === imageOf('web', commits.second));
    await cloud.request('POST', `/api/v1/deployments/${id}/cancel`);
    const end = await settled(id);
    expect(end.state).toMatchObject({
      status: 'cancelled',
      reason: expect.stringContaining('what was changed is undone'),
    });
    expect(running().map(({ image }) => image)).toEqual(onEach(imageOf('web', commits.first)));
    expect(allServe()).toBe(true);
  });

  it('is undone by a rollback, which brings back image, variables and the secret’s version without a build', async () => {
    await open();
    const secrets = { DATABASE_URL: 'database-url' };
    await cloud.apply(appOf({ env: { COLOUR: 'blue' }, secrets }));
    await setSecret(databaseUrls.old);
    const first = await settled(await pushed(commits.first));
    const before = running();
    await cloud.apply(appOf({ env: { COLOUR: 'green' }, secrets }));
    await setSecret(databaseUrls.new);
    await settled(await pushed(commits.second));
    expect(running().map(({ image, env }) => [image, env['COLOUR']])).toEqual(
      onEach([imageOf('web', commits.second), 'green']),
    );
    expect(running()[0]?.secrets).not.toEqual(before[0]?.secrets);

    const { status, body } = await cloud.request('POST', '/api/v1/apps/web/environments/dev/rollback', { body: {} });
    expect(status).toBe(202);
    const end = await settled((body as { id: string }).id);
    expect(end.state).toMatchObject({ status: 'succeeded' });
    expect(end.revision?.id).toBe(first.revision?.id);
    expect(running()).toEqual(before);
    expect(cloud.codeBuild.runs).toHaveLength(2);
    expectNoSecret();
  });

  it('goes on when its execution is lost', async () => {
    await open();
    await cloud.apply(appOf());
    const id = await pushed(commits.first);
    await cloud.until(() => running()[0]?.image === imageOf('web', commits.first));
    const [arn = ''] = cloud.machine.executions.keys();
    cloud.machine.lose(arn);
    const end = await settled(id);
    expect(end.state).toMatchObject({ status: 'succeeded' });
    expect(cloud.machine.executions.size).toBe(2);
    expect(cloud.codeBuild.runs).toHaveLength(1);
    expect(asked('UpdateService')).toHaveLength(3);
  });

  it.each([0, 2])('succeeds though each of its events is told %i times', async (times) => {
    await open({ ...quick, eventsTold: times });
    await cloud.apply(appOf());
    const end = await settled(await pushed(commits.first));
    expect(end.state).toMatchObject({ status: 'succeeded' });
    expect(asked('UpdateService')).toHaveLength(3);
    expect(allServe()).toBe(true);
  });
});
