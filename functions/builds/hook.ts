import { createHmac } from 'node:crypto';
import { findApp } from '../apps/registry.ts';
import type { HookSettings } from '../apps/schema.ts';
import { secretPath } from '../apps/secrets.ts';
import type { Published } from '../artifacts/pointer.ts';
import type { OutgoingRequest, Ports, WorkflowPorts } from '../ports/ports.ts';
import { messageOf, Problem } from '../runtime/errors.ts';
import { isoTime, type EpochMs } from '../runtime/units.ts';
import { changeJob, getJob, logJob } from './job-store.ts';
import { beginJob, takeJobTurn, type JobPorts } from './job-turn.ts';
import type { Job, PublishedEvent } from './job.ts';
import type { JobStep } from './job-step.ts';

type HookJob = Job & { readonly work: Extract<Job['work'], { kind: 'hook' }> };

/** Between two calls of a hook that did not take it: about ten hours in all. Then a person has to look. */
export const retrySeconds = [5, 30, 120, 600, 1800, 7200, 21_600] as const;
const timeoutSeconds = 15;

type Happened = {
  readonly app: string;
  readonly environment: string;
  readonly published: Published;
  readonly deployment?: string;
};

/** Tells the environment's hooks of a publication, each by a job of its own; safe to repeat. */
export async function beginHooks(ports: WorkflowPorts, job: Job, happened: Happened): Promise<void> {
  const { app, environment, published, deployment } = happened;
  const event: PublishedEvent = {
    app,
    environment,
    artifact: published.artifact,
    kind: published.kind,
    ...(published.build === undefined ? {} : { build: published.build }),
    ...(deployment === undefined ? {} : { deployment }),
    publishedBy: published.by,
    publishedAt: job.createdAt,
  };
  for (const { name } of await hooksOf(ports, event)) {
    const wanted = {
      work: { kind: 'hook', hook: name, event, attempts: 0 },
      app,
      repo: null,
      createdBy: job.createdBy,
    } as const;
    await beginJob(ports, `hook/${job.id}/${name}`, wanted);
  }
}

/**
 * Calls a hook, again and again with growing pauses until it is taken: any answer of 2xx. 410 says that nobody wants it
 * any more. Where the app is changed meanwhile, the hook is called as it is then.
 */
export async function workOnHook(ports: WorkflowPorts, job: HookJob): Promise<JobStep> {
  const { hook, event, attempts, nextAt = 0 } = job.work;
  const early = (nextAt - ports.clock()) / 1000;
  if (early > 0) return { next: 'wait', seconds: Math.ceil(early) };
  const settings = (await hooksOf(ports, event)).find(({ name }) => name === hook);
  if (!settings) return { next: 'ended', results: {}, lines: [`The hook ${hook} is there no more`] };
  const outcome = await callHook(ports, job, settings);
  if (outcome.taken)
    return { next: 'ended', results: { status: outcome.status }, lines: [`Answered ${outcome.status}`] };
  const pause = outcome.status === 410 ? undefined : retrySeconds[attempts];
  if (pause === undefined) {
    const calls = attempts === 0 ? '1 call' : `${attempts + 1} calls`;
    return { next: 'broken', reason: `Given up after ${calls}: ${outcome.reason}` };
  }
  await logJob(ports.records, job.id, `Call ${attempts + 1}: ${outcome.reason}; tried again in ${pause} s`);
  await changeJob(ports.records, job.id, (found) =>
    found.work.kind === 'hook' && found.work.attempts === attempts
      ? { ...found, work: { ...found.work, attempts: attempts + 1, nextAt: ports.clock() + pause * 1000 } }
      : undefined,
  );
  return { next: 'wait', seconds: pause };
}

/**
 * The request of a hook, signed as https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * says: its id is the same for every try, so that a receiver knows it again. A secret that begins with `whsec_` is
 * base64, any other one is taken as it is. Pure.
 */
export function hookRequest(call: {
  readonly id: string;
  readonly url: string;
  readonly secret: string;
  readonly event: PublishedEvent;
  readonly at: EpochMs;
}): OutgoingRequest {
  const timestamp = String(Math.floor(call.at / 1000));
  const { publishedAt, ...data } = call.event;
  const body = JSON.stringify({
    type: 'artifact.published',
    timestamp: isoTime(publishedAt),
    data: { ...data, publishedAt: isoTime(publishedAt) },
  });
  const key = call.secret.startsWith('whsec_') ? Buffer.from(call.secret.slice(6), 'base64') : Buffer.from(call.secret);
  const signature = createHmac('sha256', key).update(`${call.id}.${timestamp}.${body}`).digest('base64');
  return {
    url: call.url,
    body,
    timeoutSeconds,
    headers: {
      'content-type': 'application/json',
      'webhook-id': call.id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`,
    },
  };
}

type Outcome = { readonly taken: boolean; readonly status: number; readonly reason: string };

async function callHook(ports: WorkflowPorts, job: HookJob, { url, secret: name }: HookSettings): Promise<Outcome> {
  const { event } = job.work;
  try {
    const { value: secret } = await ports.secrets.read(secretPath(event.app, name));
    const request = hookRequest({ id: `msg_${job.id}`, url, secret, event, at: ports.clock() });
    const { status } = await ports.send(request);
    return { taken: status >= 200 && status < 300, status, reason: `answered ${status}` };
  } catch (error) {
    return { taken: false, status: 0, reason: messageOf(error).slice(0, 500) };
  }
}

/** Calls a hook that was given up once more, from the beginning. Throws `Problem('conflict')` for any other job. */
export async function retryHook(ports: JobPorts, id: number): Promise<Job> {
  await getJob(ports.records, id);
  const job = await changeJob(ports.records, id, (found) => {
    if (found.work.kind !== 'hook' || found.state.status !== 'broken') {
      throw new Problem('conflict', `The job ${id} is no call of a hook that was given up`);
    }
    const { nextAt: _, ...work } = { ...found.work, attempts: 0 };
    return { ...found, work, state: { status: 'new' }, settled: false };
  });
  await takeJobTurn(ports, job);
  return job;
}

async function hooksOf(
  { records }: Pick<Ports, 'records'>,
  { app, environment }: PublishedEvent,
): Promise<readonly HookSettings[]> {
  const record = await findApp(records, app);
  return record?.app.environments.find(({ name }) => name === environment)?.hooks ?? [];
}
