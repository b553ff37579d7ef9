import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { v7 } from 'uuid';
import { secretPath } from '../../functions/apps/secrets.ts';
import { retryHook, retrySeconds } from '../../functions/builds/hook.ts';
import { deadHooks, getJob } from '../../functions/builds/job-store.ts';
import type { Job } from '../../functions/builds/job.ts';
import { makeJob } from '../../functions/builds/new-job.ts';
import type { OutgoingRequest } from '../../functions/ports/ports.ts';
import { runStep } from '../../functions/workflow/steps.ts';
import { alone, buildsService, type BuildsService } from '../support/builds-service.ts';
import { until } from '../support/scripted-cloud.ts';

const plain = 'a secret that nobody may read';
const base64 = `whsec_${Buffer.from('the bytes of another secret').toString('base64')}`;

let world: BuildsService;
beforeEach(async () => {
  world = await buildsService();
  await world.apply('web', {
    ...alone,
    environments: [
      {
        name: 'dev',
        targets: [{ name: 'one' }],
        hooks: [{ name: 'tell', url: 'https://hooks.example.com/published', secret: 'hook' }],
      },
    ],
  });
  world.secretValues.set(secretPath('web', 'hook'), plain);
});
afterEach(async () => await world.close());

/**
 * As a receiver verifies it, written from the specification alone:
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
function verify({ headers, body }: OutgoingRequest, secret: string, nowSeconds: number): unknown {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures = '' } = headers;
  if (Math.abs(nowSeconds - Number(timestamp)) > 300) throw new Error(`The timestamp ${timestamp} is too far off`);
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret, 'utf8');
  const signed = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
  const isSigned = signatures.split(' ').some((signature) => signature === `v1,${signed}`);
  if (!isSigned) throw new Error('The signature does not fit');
  return JSON.parse(body);
}

/** A hook's job that no workflow runs: its steps are taken here, and its waits take no time. */
async function hookJob(): Promise<Job> {
  const event = {
    app: 'web',
    environment: 'dev',
    artifact: `sha256:${'a'.repeat(64)}`,
    kind: 'bundle',
    publishedBy: 'ann',
    publishedAt: world.clock(),
  } as const;
  const work = { kind: 'hook', hook: 'tell', event, attempts: 0 } as const;
  return await makeJob(world.ports, v7(), { work, app: 'web', repo: null, createdBy: 'ann' });
}

/** Runs a job to its end; how long it waited in between, in seconds. */
async function drive(job: Job): Promise<readonly number[]> {
  const waits: number[] = [];
  for (;;) {
    const step = await runStep(world.ports, { step: 'work-on-job', jobId: String(job.id) } as { step: string });
    if (step['next'] === 'done') return waits;
    const waitSeconds = Number(step['waitSeconds']);
    waits.push(waitSeconds);
    world.pass(waitSeconds * 1000);
  }
}
const jobOf = async ({ id }: Job) => await getJob(world.ports.records, id);
const dead = async () =>
  (await world.ports.records.list<Job>({ partition: deadHooks, index: 'lookup' })).items.map(({ value }) => value.id);

describe('a hook', () => {
  it('is called when something was published, signed so that the receiver can verify it', async () => {
    const id = await world.committedBundle('told of');
    await world.publish(id);
    await world.calm();
    const [call] = await until(
      async () => world.calls,
      (calls) => calls.length > 0,
    );
    const [deployment] = await world.deployments('dev');
    const { artifact } = await world.build(id);
    expect(verify(call!, plain, world.clock() / 1000)).toEqual({
      type: 'artifact.published',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      data: {
        app: 'web',
        environment: 'dev',
        artifact: artifact!.digest,
        kind: 'bundle',
        build: id,
        deployment: deployment!.id,
        publishedBy: 'ann',
        publishedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      },
    });
    expect(call).toMatchObject({ url: 'https://hooks.example.com/published', timeoutSeconds: 15 });
    expect(world.calls.length).toBe(1);
    expect(() => verify({ ...call!, body: `${call!.body} ` }, plain, world.clock() / 1000)).toThrow('does not fit');
  });

  it('is signed by the bytes of a secret that is base64', async () => {
    world.secretValues.set(secretPath('web', 'hook'), base64);
    await drive(await hookJob());
    expect(verify(world.calls[0]!, base64, world.clock() / 1000)).toMatchObject({ type: 'artifact.published' });
  });

  it('that does not take it is called again with growing pauses, by the same id and a new timestamp', async () => {
    world.outside.send = () => (world.calls.length < 5 ? 503 : 204);
    const job = await hookJob();
    expect(await drive(job)).toEqual(retrySeconds.slice(0, 4));
    expect((await jobOf(job)).state).toMatchObject({ status: 'ended', results: { status: 204 } });
    expect(new Set(world.calls.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    const times = world.calls.map(({ headers }) => Number(headers['webhook-timestamp']));
    expect(times[4]! - times[0]!).toBeGreaterThanOrEqual(5 + 30 + 120 + 600);
    for (const call of world.calls) verify(call, plain, Number(call.headers['webhook-timestamp']));
    expect((await jobOf(job)).log).toContain('Call 1: answered 503; tried again in 5 s');
  });

  it('is not called early, however often its job is begun anew', async () => {
    world.outside.send = () => 500;
    const job = await hookJob();
    const step = async () =>
      await runStep(world.ports, { step: 'work-on-job', jobId: String(job.id) } as { step: string });
    expect(await step()).toMatchObject({ next: 'wait', waitSeconds: 5 });
    for (let again = 0; again < 3; again += 1) expect(await step()).toMatchObject({ next: 'wait' });
    expect(world.calls.length).toBe(1);
    world.pass(5000);
    expect(await step()).toMatchObject({ next: 'wait', waitSeconds: 30 });
    expect(world.calls.length).toBe(2);
  });

  it('that never takes it is given up, lies among the dead, and is called from the beginning when a person wants it', async () => {
    world.outside.send = () => {
      throw new Error('connect ECONNREFUSED');
    };
    const job = await hookJob();
    const waits = await drive(job);
    expect(waits).toEqual([...retrySeconds]);
    expect(waits.reduce((sum, seconds) => sum + seconds, 0)).toBeGreaterThan(8 * 3600);
    expect(world.calls.length).toBe(8);
    const given = await jobOf(job);
    expect(given.state).toMatchObject({ status: 'broken', reason: 'Given up after 8 calls: connect ECONNREFUSED' });
    expect(given.settled).toBe(true);
    expect(await dead()).toEqual([job.id]);
    world.outside.send = () => 200;
    await retryHook(world.ports, job.id);
    expect((await world.ended(job.id)).state.status).toBe('ended');
    expect(await dead()).toEqual([]);
    expect(new Set(world.calls.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    await expect(retryHook(world.ports, job.id)).rejects.toMatchObject({ kind: 'conflict' });
  });

  it('that is gone says so by 410, and is asked no more', async () => {
    world.outside.send = () => 410;
    const job = await hookJob();
    expect(await drive(job)).toEqual([]);
    expect((await jobOf(job)).state).toMatchObject({
      status: 'broken',
      reason: 'Given up after 1 call: answered 410',
    });
    expect(world.calls.length).toBe(1);
  });

  it('is not called without its secret, and is when there is one again', async () => {
    world.secretValues.clear();
    const job = await hookJob();
    const step = async () =>
      await runStep(world.ports, { step: 'work-on-job', jobId: String(job.id) } as { step: string });
    expect(await step()).toMatchObject({ next: 'wait', waitSeconds: 5 });
    expect(world.calls).toEqual([]);
    expect((await jobOf(job)).log).toContain('There is no secret');
    world.secretValues.set(secretPath('web', 'hook'), plain);
    world.pass(5000);
    expect(await step()).toMatchObject({ next: 'done' });
    expect(world.calls.length).toBe(1);
  });

  it('that its app has not any more is not called', async () => {
    const job = await hookJob();
    await world.apply('web', alone);
    await drive(job);
    expect(world.calls).toEqual([]);
    expect((await jobOf(job)).state.status).toBe('ended');
  });

  it('leaves its secret in no record, no log and no answer', async () => {
    world.outside.send = () => {
      throw new Error(`refused by ${plain.length} characters`);
    };
    const job = await hookJob();
    await drive(job);
    const everything = JSON.stringify([
      await jobOf(job),
      await (await world.api.request('GET', `/api/v1/job/${job.id}`)).text(),
    ]);
    for (const secret of [plain, base64, createHmac('sha256', plain).update('').digest('base64')]) {
      expect(everything).not.toContain(secret);
    }
    for (const { headers } of world.calls) expect(everything).not.toContain(headers['webhook-signature']);
  });
});
