import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { tableInput } from '../../functions/aws/record-requests.ts';
import { openEmbeddedDynamo, type EmbeddedDynamo } from '../../local/embedded-dynamo.ts';
import { buildFunctions, type FunctionEntry } from '../../scripts/build-functions.ts';
import { makeAwsEndpoint, type AwsEndpoint } from '../support/aws-endpoint.ts';
import { awsError } from '../support/scripted-aws.ts';
import { pushOf, signatureOf } from '../webhook/delivery-of.ts';
import { apiEvent, type EventOptions } from './api-event.ts';
import { executionEvent, stateMachineArn } from './documented-events.ts';
import { runFunction, type Outcome } from './run-function.ts';

/**
 * The functions as they are installed: bundled, each in a cold process of its own, with nothing but the environment that
 * the stack gives them. AWS is an endpoint that answers as it is told; its DynamoDB is the embedded one.
 */
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-bundles-'));
  await buildFunctions(folder);
}, 60_000);
afterAll(async () => await rm(folder, { recursive: true, force: true }));

let dynamo: EmbeddedDynamo;
let aws: AwsEndpoint;
let executions: Map<string, string>;
let secrets: Map<string, string>;
beforeEach(async () => {
  dynamo = await openEmbeddedDynamo({ folder: undefined, table: tableInput('records') });
  executions = new Map();
  secrets = new Map([
    ['sluice/control/admin-token AWSCURRENT', 'the-admin-token'],
    ['sluice/control/webhook-secret AWSCURRENT', 'the-webhook-secret'],
  ]);
  aws = await makeAwsEndpoint({
    GetItem: async (input) => await dynamo.calls.getItem(input),
    PutItem: async (input) => await dynamo.calls.putItem(input),
    DeleteItem: async (input) => await dynamo.calls.deleteItem(input),
    Query: async (input) => await dynamo.calls.query(input),
    GetSecretValue: ({ SecretId, VersionStage }) => {
      const SecretString = secrets.get(`${SecretId} ${VersionStage}`);
      if (SecretString === undefined) throw awsError('ResourceNotFoundException');
      return { SecretString, CreatedDate: Date.now() / 1000 };
    },
    StartExecution: ({ name, input }) => {
      if (executions.get(name) === 'FAILED') throw awsError('ExecutionAlreadyExists');
      executions.set(name, 'RUNNING');
      return { executionArn: `${name} ${input}`, startDate: 0 };
    },
    DescribeExecution: ({ executionArn }) => {
      const status = executions.get(executionArn.split(':').at(-1));
      if (!status) throw awsError('ExecutionDoesNotExist');
      return { executionArn, stateMachineArn, status, startDate: 0 };
    },
  });
});
afterEach(async () => {
  await aws.close();
  await dynamo.close();
});

const run = async (name: FunctionEntry, ...events: unknown[]): Promise<readonly Outcome[]> =>
  await runFunction({
    folder,
    name,
    events,
    environment: {
      SLUICE_PREFIX: 'sluice',
      SLUICE_TABLE: 'records',
      SLUICE_BUCKET: 'artifacts',
      SLUICE_STATE_MACHINE_ARN: stateMachineArn,
      SLUICE_JOB_MACHINE_ARN: stateMachineArn.replace('-deploy', '-jobs'),
      LOG_LEVEL: 'debug',
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_ENDPOINT_URL: aws.url,
    },
  });
const call = async (options: EventOptions) => {
  const [outcome] = await run('api', apiEvent(options));
  return answerOf(outcome);
};
function answerOf(outcome: Outcome | undefined) {
  const { statusCode, body } = (outcome?.answer ?? {}) as { statusCode: number; body: string };
  return { status: statusCode, body: (body ? JSON.parse(body) : undefined) as Record<string, unknown> };
}

const token = { authorization: 'Bearer the-admin-token', 'content-type': 'application/json' };
const app = {
  source: { repoUrl: 'https://github.com/acme/web' },
  build: { kind: 'bundle' },
  runtime: { command: ['node', 'server.mjs'] },
  environments: [{ name: 'dev', branch: 'main', targets: [{ name: 'web', cluster: 'main', service: 'web-dev' }] }],
};
const apply = async (body: object = app) =>
  await call({ method: 'PUT', path: '/api/v1/apps/web', headers: token, body: JSON.stringify(body) });
const push = JSON.stringify(pushOf());
const delivery = (secret = 'the-webhook-secret') =>
  apiEvent({
    method: 'POST',
    path: '/webhooks/github',
    body: push,
    headers: {
      'content-type': 'application/json',
      'x-github-event': 'push',
      'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
      'x-hub-signature-256': signatureOf(push, secret),
    },
  });

async function deployed(): Promise<string> {
  await apply();
  const [answer] = await run('api', delivery());
  const { deployments } = answerOf(answer).body as { deployments: { id: string }[] };
  return deployments[0]?.id ?? '';
}

describe('the api function', () => {
  it('answers at once without asking AWS for anything, and tells its documentation', async () => {
    const [health, openapi] = await run('api', apiEvent({ path: '/health' }), apiEvent({ path: '/openapi.json' }));
    expect(answerOf(health)).toEqual({ status: 200, body: { status: 'ok', version: 'unknown' } });
    const { status, body } = answerOf(openapi);
    expect([status, body['openapi']]).toEqual([200, '3.1.0']);
    expect(Object.keys(body['paths'] as object)).toContain('/api/v1/deployments/{id}');
    expect(Object.keys((body['components'] as { schemas: object }).schemas)).toContain('AppInput');
    expect(aws.calls).toEqual([]);
  });

  it('makes one execution of a push, however often it is delivered, and asks for nothing that it does not need', async () => {
    expect((await apply()).status).toBe(201);
    aws.calls.length = 0;
    const [first, second] = await run('api', delivery(), delivery());
    expect(answerOf(first).status).toBe(202);
    const [{ id }] = answerOf(first).body['deployments'] as [{ id: string }];
    expect(answerOf(second)).toMatchObject({ status: 200, body: { deployments: [{ id }] } });
    expect([...executions]).toEqual([[id, 'RUNNING']]);
    expect(new Set(aws.calls)).toEqual(new Set(['GetSecretValue', 'Query', 'GetItem', 'PutItem', 'StartExecution']));
    const lines = first?.log.filter(({ message }) => message === 'request').map(({ status }) => status);
    expect(lines).toEqual([202, 200]);
    const outcomes = first?.log
      .filter(({ WebhookDeliveries }) => WebhookDeliveries === 1)
      .map(({ Outcome }) => Outcome);
    expect(outcomes).toEqual(['accepted', 'repeated']);
  });

  it('takes the new secret and the one before, and no other', async () => {
    await apply();
    secrets.set('sluice/control/webhook-secret AWSPREVIOUS', 'the-webhook-secret');
    secrets.set('sluice/control/webhook-secret AWSCURRENT', 'another');
    const outcomes = await run('api', delivery('another'), delivery(), delivery('a-third'));
    expect(outcomes.map((outcome) => answerOf(outcome).status)).toEqual([202, 200, 401]);
    expect(JSON.stringify(outcomes)).not.toContain('the-webhook-secret');
  });

  it('refuses an app whose target names no service, and a source that only one machine has', async () => {
    const environments = [{ name: 'dev', targets: [{ name: 'web' }] }];
    expect(await apply({ ...app, source: { repoUrl: 'file:///srv/web' }, environments })).toMatchObject({
      status: 400,
      body: {
        issues: [
          { field: 'source.repoUrl' },
          { field: 'environments[0].targets[0].service', expected: expect.any(String) },
        ],
      },
    });
  });

  it('tells each thing that it depends on, and answers when none does', async () => {
    const { status, body } = await call({ path: '/ready' });
    expect([status, body]).toEqual([
      503,
      {
        status: 'failing',
        checks: {
          records: 'ok',
          objects: 'failed',
          secrets: 'failed',
          builder: 'failed',
          fleet: expect.stringMatching(/failed|timed out/),
          workflow: 'failed',
        },
      },
    ]);
  });

  it('has no page of metrics: they go to CloudWatch', async () => {
    expect((await call({ path: '/metrics', headers: token })).status).toBe(404);
  });
});

describe('the workflow function', () => {
  it('runs a step on the records that the api wrote', async () => {
    const id = await deployed();
    const [acquired, resolved] = await run(
      'workflow',
      { step: 'acquire', deploymentId: id },
      { step: 'resolve', deploymentId: id },
    );
    expect(acquired?.answer).toEqual({});
    expect(resolved?.answer).toMatchObject({ needsBuild: true, build: { id, kind: 'bundle', app: 'web' } });
  });

  it('tells an error by its name and its sentence', async () => {
    const id = await deployed();
    await call({ method: 'POST', path: `/api/v1/deployments/${id}/cancel`, headers: token });
    const [outcome] = await run('workflow', { step: 'acquire', deploymentId: id });
    expect(outcome?.error?.errorType).toMatch(/^(Cancelled|Interrupted)$/);
    expect(outcome?.error?.errorMessage).toMatch(/cancelled/i);
  });
});

describe('the events function', () => {
  it('begins the execution of a deployment anew when one was lost', async () => {
    const id = await deployed();
    executions.set(id, 'FAILED');
    const [outcome] = await run('events', executionEvent(id, 'FAILED'));
    expect(outcome?.error).toBeUndefined();
    expect([...executions]).toEqual([
      [id, 'FAILED'],
      [`${id}-2`, 'RUNNING'],
    ]);
  });

  it('fails when AWS does, so that the event comes again', async () => {
    await aws.close();
    const [outcome] = await run('events', executionEvent('019a9f3e-4b7c-7d11-9a53-3a5e0d6c2b10', 'FAILED'));
    expect(outcome?.error).toMatchObject({ errorType: 'Problem', errorMessage: /does not answer/ });
  });
});

describe('the reconcile function', () => {
  it('goes on with what lost its worker, and tells CloudWatch', async () => {
    const id = await deployed();
    await run('workflow', { step: 'acquire', deploymentId: id }, { step: 'resolve', deploymentId: id });
    executions.set(id, 'FAILED');
    const [outcome] = await run('reconcile', { source: 'aws.events', 'detail-type': 'Scheduled Event' });
    expect(outcome?.error).toBeUndefined();
    expect(executions.get(`${id}-2`)).toBe('RUNNING');
    expect(outcome?.log.find((line) => '_aws' in line)).toMatchObject({ Prefix: 'sluice', OpenDeployments: 1 });
  });

  it('tells nothing where there is nothing', async () => {
    const [outcome] = await run('reconcile', {});
    expect(outcome?.log.some((line) => '_aws' in line)).toBe(false);
    expect(outcome?.log).toMatchObject([{ message: 'reconciled', open: 0, findings: 0 }]);
  });
});

describe('a function without its environment', () => {
  it('says at its start what is missing', async () => {
    const [outcome] = await runFunction({ folder, name: 'api', events: [], environment: { SLUICE_PREFIX: 'sluice' } });
    expect(outcome?.error?.errorMessage).toContain('SLUICE_TABLE is missing: expected the name of the DynamoDB table');
  });
});
