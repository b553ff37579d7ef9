import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelsMissing, modelsPython } from './needs.ts';

const program = fileURLToPath(new URL('check_inputs.py', import.meta.url));

type Asked = readonly [serviceId: string, operation: string, input: unknown];

/** The checker finds what it is there to find. */
const reason = modelsMissing ? ` (${modelsMissing})` : '';

describe.skipIf(modelsMissing !== undefined)(`the check of SDK inputs${reason}`, () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-inputs-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  async function check(asked: readonly Asked[], ...more: readonly string[]): Promise<{ code: number; told: string }> {
    const inputs = await mkdtemp(join(folder, 'asked-'));
    const lines = asked.map(([serviceId, operation, input]) => JSON.stringify({ serviceId, operation, input }));
    await writeFile(join(inputs, '1.jsonl'), lines.map((line) => `${line}\n`).join(''));
    return await new Promise((resolve) => {
      execFile(modelsPython ?? '', [program, inputs, ...more], (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, told: `${stdout}${stderr}` }),
      );
    });
  }

  const put = { Bucket: 'b', Key: 'k' };
  const machine = 'arn:aws:states:eu-central-1:000000000000:stateMachine:sluice-deploy';

  it('finds nothing wrong with inputs that are right, one of each type', async () => {
    const { code, told } = await check([
      ['DynamoDB', 'GetItem', { TableName: 'sluice', Key: { pk: { S: 'a' } }, ConsistentRead: true }],
      ['S3', 'PutObject', { ...put, Body: { $bytes: true } }],
      ['S3', 'GetObject', { ...put, IfModifiedSince: { $date: '2026-11-20T00:00:00.000Z' } }],
      ['S3', 'PutObject', { ...put, Body: 'text', ChecksumAlgorithm: 'SHA256', ContentLength: 4 }],
      ['SFN', 'StartExecution', { stateMachineArn: machine, name: 'a', input: '{}' }],
      ['ECS', 'UpdateService', { service: 'web', desiredCount: 2, tags: undefined }],
      ['Secrets Manager', 'PutSecretValue', { SecretId: 'a', SecretBinary: { $bytes: true } }],
      ['Elastic Load Balancing v2', 'DescribeTargetHealth', { TargetGroupArn: 'arn' }],
      ['CloudWatch Logs', 'GetLogEvents', { logGroupName: '/sluice/build/image', logStreamName: 'a', limit: 100 }],
      ['ECR', 'DescribeRepositories', { repositoryNames: ['sluice/web'] }],
    ]);
    expect(told).toMatch(/^10 inputs of 9 operations checked, 0 findings \(botocore [\d.]+\)\n$/);
    expect(code).toBe(0);
  });

  it.each<[string, Asked, string]>([
    ['a missing member', ['S3', 'PutObject', { Bucket: 'b' }], 'Key: is required and missing'],
    ['an unknown member', ['S3', 'PutObject', { ...put, Colour: 'red' }], 'Colour: is no member of the model'],
    ['an unknown operation', ['S3', 'PaintObject', {}], '(operation): the service has none of this name'],
    [
      'a member deep inside',
      ['ECS', 'UpdateService', { service: 'a', deploymentConfiguration: { x: 1 } }],
      '.x: is no',
    ],
    ['a number for a string', ['S3', 'PutObject', { ...put, Key: 5 }], 'Key: 5 is not a string'],
    ['text for a number', ['ECS', 'UpdateService', { service: 'a', desiredCount: '2' }], 'desiredCount: "2" is not an'],
    [
      'a fraction',
      ['ECS', 'UpdateService', { service: 'a', desiredCount: 1.5 }],
      'desiredCount: 1.5 is not an integer',
    ],
    ['a null', ['ECS', 'UpdateService', { service: 'a', desiredCount: null }], 'desiredCount: null is not an integer'],
    ['text for a boolean', ['ECS', 'UpdateService', { service: 'a', forceNewDeployment: 'yes' }], 'is not a boolean'],
    ['text for a list', ['ECS', 'DescribeServices', { services: 'web' }], 'services: "web" is not a list'],
    ['a list for a structure', ['ECS', 'UpdateService', { service: 'a', deploymentConfiguration: [] }], 'a structure'],
    ['a list for a map', ['DynamoDB', 'GetItem', { TableName: 'sluice', Key: [] }], 'Key: [] is not a map'],
    ['text for bytes', ['Secrets Manager', 'PutSecretValue', { SecretId: 'a', SecretBinary: 'x' }], 'is not bytes'],
    ['text for a date', ['S3', 'GetObject', { ...put, IfModifiedSince: 'tomorrow' }], '"tomorrow" is not a date'],
    ['a bad enumeration', ['S3', 'PutObject', { ...put, ChecksumAlgorithm: 'MD4' }], '"MD4" is none of CRC32'],
    ['an empty text', ['S3', 'PutObject', { ...put, Key: '' }], 'Key: the length is 0, less than 1'],
    ['a text too long', ['Secrets Manager', 'CreateSecret', { Name: 'k'.repeat(513) }], 'length is 513, more than 512'],
    [
      'a number out of range',
      ['CodeBuild', 'StartBuild', { projectName: 'a', timeoutInMinutesOverride: 4 }],
      'the value is 4, less than 5',
    ],
    ['too few entries', ['CodeBuild', 'BatchGetBuilds', { ids: [] }], 'the number of entries is 0, less than 1'],
    [
      'a text that does not match',
      ['ECR', 'DescribeRepositories', { repositoryNames: ['Sluice'] }],
      'repositoryNames[0]: "Sluice" does not match',
    ],
    [
      'a text that matches in part only',
      ['DynamoDB', 'CreateBackup', { TableName: 'sluice', BackupName: 'a b' }],
      'BackupName: "a b" does not match',
    ],
    [
      'a union of two',
      ['DynamoDB', 'GetItem', { TableName: 'sluice', Key: { pk: { S: 'a', N: '1' } } }],
      'Key.pk: exactly one member of a union is to be there, not 2',
    ],
  ])('finds %s', async (_name, asked, finding) => {
    const { code, told } = await check([asked]);
    expect(told).toContain(`${asked[0]} ${asked[1]} `);
    expect(told).toContain(finding);
    expect(told).toMatch(/^1 inputs of 1 operations checked, 1 findings /m);
    expect(code).toBe(1);
  });

  it('tells a finding once, however many inputs have it', async () => {
    const { told } = await check([
      ['S3', 'PutObject', { Bucket: 'b' }],
      ['S3', 'PutObject', { Bucket: 'c' }],
    ]);
    expect(told.match(/is required and missing/g)).toHaveLength(1);
  });

  it('fails when there is no input at all', async () => {
    expect((await check([])).code).toBe(1);
  });

  it('fails when a command that the sources import was asked by no test', async () => {
    const project = await mkdtemp(join(folder, 'project-'));
    const config = join(project, 'node_modules/@aws-sdk/client-sfn/dist-es');
    await mkdir(config, { recursive: true });
    await writeFile(join(config, 'runtimeConfig.shared.js'), '  serviceId: config?.serviceId ?? "SFN",\n');
    await mkdir(join(project, 'functions/aws'), { recursive: true });
    await writeFile(
      join(project, 'functions/aws/workflow.ts'),
      "import {\n  StartExecutionCommand,\n  StopExecutionCommand,\n  type X,\n} from '@aws-sdk/client-sfn';\n",
    );
    const started: Asked = ['SFN', 'StartExecution', { stateMachineArn: machine }];
    const { code, told } = await check([started], '--project', project);
    expect(told).toContain('SFN StopExecution (input): no test asks for it');
    expect(told).not.toContain('SFN StartExecution');
    expect(code).toBe(1);
  });
});
