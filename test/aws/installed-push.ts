import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { DescribeExecutionCommand, ListExecutionsCommand, SFNClient } from '@aws-sdk/client-sfn';
import { beforeAll, expect, it, vi } from 'vitest';
import { adminTokenSecret, secretName, webhookSecretSecret } from '../../functions/runtime/aws-names.ts';
import { stages } from '../../infra/stages.ts';
import { deliveryOf, signatureOf } from '../webhook/delivery-of.ts';
import { examples } from '../webhook/examples.ts';
import type { Installed } from './installation.ts';

const { prefix } = stages.production;
const deliveryId = '72d3162e-cc78-11e3-81ab-4c9367dc0958';

/** GitHub's own example of a push to a branch. */
const push = examples
  .find(({ name }) => name === 'push')
  ?.examples.find((example) => (example as { ref: string }).ref === 'refs/heads/master') as {
  readonly after: string;
  readonly repository: { readonly clone_url: string };
};

/** From a signed delivery to the execution it starts, through the HTTP API. */
export function installedPush(installed: () => Installed): void {
  let adminToken: string;
  let webhookSecret: string;

  beforeAll(async () => {
    adminToken = await secretValue(adminTokenSecret);
    webhookSecret = await secretValue(webhookSecretSecret);
  });

  async function secretValue(name: string): Promise<string> {
    const { SecretString = '' } = await new SecretsManagerClient(installed().emulator.config).send(
      new GetSecretValueCommand({ SecretId: secretName(prefix, name) }),
    );
    return SecretString;
  }

  async function call(method: string, path: string, options: { token?: string; body?: object } = {}) {
    const { token = adminToken, body } = options;
    return await fetch(installed().installation.url(path), {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  }

  async function deliver(key = webhookSecret): Promise<Response> {
    const body = JSON.stringify(push);
    const signed = { 'x-github-delivery': deliveryId, 'x-hub-signature-256': signatureOf(body, key) };
    const { headers } = deliveryOf('push', body, signed);
    return await fetch(installed().installation.url('/webhooks/github'), { method: 'POST', headers, body });
  }

  async function executions() {
    const client = new SFNClient(installed().emulator.config);
    const { executions: listed = [] } = await client.send(
      new ListExecutionsCommand({ stateMachineArn: installed().installation.outputs.StateMachineArn }),
    );
    return await Promise.all(
      listed.map(async ({ executionArn }) => {
        const { name, input = '' } = await client.send(new DescribeExecutionCommand({ executionArn }));
        return { name, input: JSON.parse(input) as unknown };
      }),
    );
  }

  it('finds its stores ready, with the rights of its own role', async () => {
    const { checks } = (await (await call('GET', '/ready')).json()) as { checks: Record<string, string> };
    expect(checks).toMatchObject({ records: 'ok', secrets: 'ok', workflow: 'ok', fleet: 'ok' });
    // It speaks no TLS, and without it the bucket's policy lets nobody in.
    expect(checks['objects']).toBe('failed');
    // Not told: CodeBuild. The emulator asks for the right to see every project where several are asked for at once.
  });

  it('lets nobody in without the token', async () => {
    expect((await call('GET', '/api/v1/apps', { token: 'guessed' })).status).toBe(401);
  });

  it('takes an app', async () => {
    const body = {
      source: { repoUrl: push.repository.clone_url },
      build: { kind: 'image' },
      runtime: { port: 3000 },
      environments: [{ name: 'dev', branch: 'master', targets: [{ name: 'web', cluster: 'main', service: 'hello' }] }],
    };
    const answer = await call('PUT', '/api/v1/apps/hello', { body });
    expect([answer.status, await answer.json()]).toMatchObject([201, { id: 'hello' }]);
  });

  it('refuses the push with a wrong signature, and starts nothing', async () => {
    expect((await deliver('guessed')).status).toBe(401);
    expect(await executions()).toEqual([]);
  });

  it('starts one execution for the signed push, named and fed by its deployment, however often it is delivered', async () => {
    const first = await deliver();
    const told = (await first.json()) as { deployments: { id: string }[] };
    expect([first.status, told]).toEqual([
      202,
      { deployments: [{ id: expect.any(String), app: 'hello', environment: 'dev' }] },
    ]);
    const { id = '' } = told.deployments[0] ?? {};
    const again = await Promise.all([deliver(), deliver(), deliver()]);
    expect(again.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await executions()).toEqual([{ name: id, input: { deploymentId: id } }]);
    const shown = (await (await call('GET', `/api/v1/deployments/${id}`)).json()) as object;
    expect(shown).toMatchObject({ id, app: 'hello', environment: 'dev', commit: push.after });
  });

  it('goes through the steps up to the build, which ministack cannot start, and then tells the truth and ends', async () => {
    const ended = async () => {
      const list = (await (await call('GET', '/api/v1/deployments?app=hello')).json()) as { items: Shown[] };
      expect(list.items).toMatchObject([{ status: 'failed', reason: expect.stringContaining('not yet implemented') }]);
      return list.items[0];
    };
    const deployment = await vi.waitFor(ended, { timeout: 60_000, interval: 500 });
    const shown = (await (await call('GET', `/api/v1/deployments/${deployment?.id}`)).json()) as Shown;
    expect(shown.timeline.map(({ kind }) => kind)).toEqual(['queued', 'building', 'failed']);
    const lane = (await (await call('GET', '/api/v1/apps/hello/environments/dev')).json()) as object;
    expect(lane).toMatchObject({ lane: { active: null, queued: [] } });
  });
}

type Shown = { readonly id: string; readonly timeline: readonly { readonly kind: string }[] };
