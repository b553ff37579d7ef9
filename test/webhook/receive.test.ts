import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { applyApp } from '../../functions/apps/registry.ts';
import { deployPush } from '../../functions/deployments/push.ts';
import type { Workflow } from '../../functions/ports/workflow.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { receiveDelivery, type DeployPush } from '../../functions/webhook/receive.ts';
import { openTestRecords } from '../support/records.ts';
import { deliveryOf, pushOf, signatureOf } from './delivery-of.ts';
import { examples } from './examples.ts';

const open = await openTestRecords();
afterAll(() => open.close());
const { records } = open;
const policy = { source: { allowFile: false, ownRemote: undefined }, fetch: { allowPrivateHosts: false, maxBytes: 1 } };

beforeAll(async () => {
  const targets = [{ name: 'web' }];
  const source = (repoUrl: string) => ({
    repoUrl,
    credential: { kind: repoUrl.startsWith('git@') ? 'ssh-key' : 'none' },
  });
  const apply = (id: string, repoUrl: string, environments: readonly object[]) => {
    const input = { source: source(repoUrl), build: { kind: 'image' }, environments };
    return applyApp({ records, clock: () => 1, policy }, { id, input });
  };
  await apply('web', 'git@github.com:acme/web.git', [
    { name: 'dev', branch: 'main', targets },
    { name: 'release', tag: 'v*', targets },
  ]);
  await apply('docs', 'https://GitHub.com/Acme/Web/', [{ name: 'dev', branch: 'main', targets }]);
  await apply('hello', 'https://github.com/codertocat/hello-world', [{ name: 'dev', branch: 'master', targets }]);
});

type Call = Parameters<DeployPush>[0];
let calls: Call[] = [];
let isNew = true;
beforeEach(() => {
  calls = [];
  isNew = true;
});
const recorded: DeployPush = async (input) => {
  calls.push(input);
  return { id: `${input.record.id}-${input.environment.name}`, isNew };
};
const receive = (delivery: ReturnType<typeof deliveryOf>, deploy: DeployPush = recorded) =>
  receiveDelivery({ records }, { ...delivery, deployPush: deploy });

describe('receiveDelivery', () => {
  it('deploys a push to every environment that follows its branch, of every app of the repository', async () => {
    const answer = await receive(deliveryOf('push', pushOf()));
    expect(answer).toEqual({
      status: 202,
      body: {
        deployments: [
          { id: 'docs-dev', app: 'docs', environment: 'dev' },
          { id: 'web-dev', app: 'web', environment: 'dev' },
        ],
      },
    });
    expect(calls[0]?.push).toEqual({
      ref: 'refs/heads/main',
      commit: 'a'.repeat(40),
      deliveryId: '72d3162e-cc78-11e3-81ab-4c9367dc0958',
      pushedAtSeconds: 1_557_933_657,
      pusher: 'octocat',
    });
  });

  it('says so when a push was seen before', async () => {
    isNew = false;
    expect(await receive(deliveryOf('push', pushOf()))).toMatchObject({
      status: 200,
      body: { message: 'This push was seen before.', deployments: [{ id: 'docs-dev' }, { id: 'web-dev' }] },
    });
  });

  it.each<[string, Readonly<Record<string, unknown>>, string]>([
    [
      'a branch nobody follows',
      { ref: 'refs/heads/feature/x' },
      'No environment of docs, web follows the branch feature/x.',
    ],
    ['a tag nobody follows', { ref: 'refs/tags/x' }, 'No environment of docs, web follows the tag x.'],
    ['a deleted branch', { deleted: true, after: '0'.repeat(40), head_commit: null }, 'The branch main was deleted.'],
    ['notes', { ref: 'refs/notes/commits' }, 'refs/notes/commits is neither a branch nor a tag.'],
    [
      'another repository',
      { repository: { clone_url: 'https://github.com/acme/other' } },
      'No app has its source in github.com/acme/other.',
    ],
  ])('says why nothing is deployed: %s', async (_what, extra, message) => {
    expect(await receive(deliveryOf('push', pushOf(extra)))).toEqual({
      status: 200,
      body: { message, deployments: [] },
    });
    expect(calls).toEqual([]);
  });

  it('deploys tags by their names', async () => {
    expect(await receive(deliveryOf('push', pushOf({ ref: 'refs/tags/v1' })))).toMatchObject({
      status: 202,
      body: { deployments: [{ app: 'web', environment: 'release' }] },
    });
  });

  it("answers all of GitHub's own examples", async () => {
    expect(examples).toHaveLength(58);
    const answers = new Map<string, number>();
    for (const { name, examples: payloads } of examples) {
      for (const payload of payloads) {
        const { status, body } = await receive(deliveryOf(name, payload));
        answers.set(name, Math.max(status, answers.get(name) ?? 0));
        expect([name, typeof body.message === 'string' || body.deployments?.length === 1]).toEqual([name, true]);
      }
    }
    expect([...answers].filter(([, status]) => status === 202)).toEqual([['push', 202]]);
    expect(calls.map(({ push }) => push.commit)).toEqual(Array(2).fill('6113728f27ae82c7b1a177c8d03f9e96e0adf246'));
  });

  it('answers a ping', async () => {
    expect(await receive(deliveryOf('ping', { zen: 'x' }))).toEqual({ status: 200, body: { message: 'pong' } });
  });

  it('takes a form as well as JSON', async () => {
    const form = new URLSearchParams({ payload: JSON.stringify(pushOf()) }).toString();
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await receive(deliveryOf('push', form, type))).status).toBe(202);
    await expect(receive(deliveryOf('push', 'a=b', type))).rejects.toMatchObject({ kind: 'invalid' });
    const json = { 'content-type': 'Application/JSON; charset=utf-8' };
    expect((await receive(deliveryOf('push', pushOf(), json))).status).toBe(202);
  });

  it.each<[string, Readonly<Record<string, string | undefined>>, string]>([
    ['no signature', { 'x-hub-signature-256': undefined }, 'unauthorized'],
    ['the signature of another body', { 'x-hub-signature-256': signatureOf('{}') }, 'unauthorized'],
    ['only the signature of old', { 'x-hub-signature-256': undefined, 'x-hub-signature': 'sha1=00' }, 'unauthorized'],
    ['no event', { 'x-github-event': undefined }, 'invalid'],
    ['an event that is none', { 'x-github-event': 'push\u00ff' }, 'invalid'],
    ['no delivery id', { 'x-github-delivery': undefined }, 'invalid'],
    ['an endless delivery id', { 'x-github-delivery': 'a'.repeat(5000) }, 'invalid'],
    ['another content type', { 'content-type': 'text/plain' }, 'unsupported-media-type'],
    ['no content type', { 'content-type': undefined }, 'unsupported-media-type'],
  ])('refuses %s', async (_what, headers, kind) => {
    await expect(receive(deliveryOf('push', pushOf(), headers))).rejects.toMatchObject({ kind });
    expect(calls).toEqual([]);
  });

  it('looks at nothing before the signature', async () => {
    const delivery = deliveryOf('push', 'no JSON', { 'x-hub-signature-256': 'sha256=00', 'x-github-event': undefined });
    await expect(receive(delivery)).rejects.toMatchObject({ kind: 'unauthorized' });
  });

  it('refuses what is signed and no JSON, without repeating it', async () => {
    for (const body of ['', 'hunter2', '{"ref":', '\u0000']) {
      const error = await receive(deliveryOf('push', body)).catch((error: unknown) => error);
      expect(error).toMatchObject({ kind: 'invalid', cause: undefined });
      expect(String(error)).not.toContain('hunter2');
    }
    const latin1 = { ...deliveryOf('push', ''), rawBody: Uint8Array.of(0x22, 0xff, 0x22) };
    latin1.headers.set('x-hub-signature-256', signatureOf(latin1.rawBody));
    await expect(receive(latin1)).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('refuses a body of more than 25 MB', async () => {
    const rawBody = new Uint8Array(25 * 1024 * 1024 + 1);
    await expect(receive({ ...deliveryOf('push', ''), rawBody })).rejects.toMatchObject({ kind: 'too-large' });
  });

  it('throws nothing but a Problem, whatever is signed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('push', 'ping', 'x'), fc.json(), async (event, body) => {
        const error = await receive(deliveryOf(event, body)).catch((error: unknown) => error);
        expect(error instanceof Error && !(error instanceof Problem)).toBe(false);
      }),
    );
  });

  it('lets every deployment come to an end before a failure is told, so that the delivery can come again', async () => {
    const ended: string[] = [];
    const failing: DeployPush = async ({ record }) => {
      if (record.id === 'docs') throw new Error('the disk is full');
      await Promise.resolve().then(() => ended.push(record.id));
      return { id: 'x', isNew: true };
    };
    await expect(receive(deliveryOf('push', pushOf()), failing)).rejects.toThrow('the disk is full');
    expect(ended).toEqual(['web']);
  });
});

describe('a delivery and the deployments it makes', () => {
  const workflow: Workflow = {
    start: async () => {},
    isRunning: async () => false,
    stop: async () => {},
    resume: async () => true,
    fail: async () => true,
    ready: async () => {},
  };
  const metrics = { deploymentEnded: () => {}, buildEnded: () => {} };
  const deploy: DeployPush = (input) => deployPush({ records, workflow, clock: () => 1, metrics }, input);

  it('fifty at once make each deployment once', async () => {
    const push = pushOf({ after: 'd'.repeat(40), head_commit: { id: 'd'.repeat(40) } });
    const answers = await Promise.all(Array.from({ length: 50 }, () => receive(deliveryOf('push', push), deploy)));
    const ids = answers.flatMap(({ body }) => body.deployments?.map(({ id }) => id) ?? []);
    expect(new Set(ids).size).toBe(2);
    expect(answers.some(({ status }) => status === 202)).toBe(true);
    expect((await receive(deliveryOf('push', push), deploy)).status).toBe(200);
  });

  it('the same push under another delivery id is the same push', async () => {
    const push = pushOf({
      after: 'e'.repeat(40),
      head_commit: { id: 'e'.repeat(40) },
      repository: { clone_url: 'https://github.com/acme/web', pushed_at: 1_600_000_000 },
    });
    const first = await receive(deliveryOf('push', push, { 'x-github-delivery': 'one' }), deploy);
    const again = await receive(deliveryOf('push', push, { 'x-github-delivery': 'another' }), deploy);
    expect(first.status).toBe(202);
    expect(again).toMatchObject({ status: 200, body: { deployments: first.body.deployments } });
  });
});
