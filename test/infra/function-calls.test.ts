import { globSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import type { Metafile } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { arnsOf } from '../../infra/arns.ts';
import { functionGrants, functionNames, type FunctionName } from '../../infra/permissions.ts';
import { buildFunctions, functionEntries } from '../../scripts/build-functions.ts';
import { listOf, resourceOf, statementsOf, templateOf } from './stand-in.ts';

/**
 * Each function's role grants just the calls that its code can make. The calls are the SDK's commands in its bundle,
 * with all that it loads later: what is not there cannot be called, and what nobody calls is not in there.
 */
let folder: string;
let built: Awaited<ReturnType<typeof buildFunctions>>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-calls-'));
  built = await buildFunctions(folder);
}, 60_000);
afterAll(async () => await rm(folder, { recursive: true, force: true }));

/** How IAM calls a service whose client has another name. */
const prefixes: Readonly<Record<string, string>> = {
  'cloudwatch-logs': 'logs',
  'elastic-load-balancing-v2': 'elasticloadbalancing',
  'secrets-manager': 'secretsmanager',
  sfn: 'states',
};

/** Where IAM asks for another action than the one of the call's name, or for none; each with the reason. */
const exceptions: Readonly<Record<string, { readonly actions: readonly string[]; readonly because: string }>> = {
  's3:HeadBucket': {
    actions: ['s3:ListBucket'],
    because: 'https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html (Permissions)',
  },
  's3:HeadObject': {
    actions: ['s3:GetObject'],
    because: 'https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html (Permissions)',
  },
  's3:ListObjectsV2': {
    actions: ['s3:ListBucket'],
    because: 'https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html (Permissions)',
  },
  ...multipart('s3:PutObject', 'CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload'),
  ...multipart('s3:ListMultipartUploadParts', 'ListParts'),
  ...multipart('s3:ListBucketMultipartUploads', 'ListMultipartUploads'),
  's3:CopyObject': {
    actions: ['s3:GetObject', 's3:PutObject'],
    because: 'https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html (Permissions)',
  },
  's3:UploadPartCopy': {
    actions: ['s3:GetObject', 's3:PutObject'],
    because: 'https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html (Permissions)',
  },
  's3:CreateSession': {
    actions: [],
    because: 'in every S3 client; called for directory buckets, whose names end in --x-s3, and ours is none',
  },
  'dynamodb:DescribeEndpoints': {
    actions: [],
    because: 'in every DynamoDB client; called where endpoint discovery is switched on, which it is not by default',
  },
};

function multipart(action: string, ...calls: readonly string[]) {
  const because = 'https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions';
  return Object.fromEntries(calls.map((call) => [`s3:${call}`, { actions: [action], because }]));
}

function callsOf({ outputs }: Metafile): readonly string[] {
  const calls = Object.values(outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .flatMap(([path, { bytesInOutput }]) => {
      const [, client, command] = /@aws-sdk\/client-([a-z0-9-]+)\/.*\/commands\/(\w+)Command\.js$/.exec(path) ?? [];
      return client && command && bytesInOutput > 0 ? [`${prefixes[client] ?? client}:${command}`] : [];
    });
  return [...new Set(calls)].sort();
}

function actionsOf(calls: readonly string[]): readonly string[] {
  return [...new Set(calls.flatMap((call) => exceptions[call]?.actions ?? [call]))].sort();
}

const stack = new Stack(new App(), 'Names');
const arns = arnsOf(stack, { prefix: 'sluice', table: 'table', bucket: 'bucket' });
const template = templateOf();

/** What the role allows in the template, without what AWS itself does in the function's name. */
function grantedToCode(name: FunctionName): readonly string[] {
  const byService = functionGrants(name, arns).flatMap(({ by, actions }) => (by === 'service' ? actions : []));
  const statements = statementsOf(resourceOf(template, 'AWS::IAM::Role', `Functions${name}Role`));
  const allowed = statements.flatMap(({ Effect, Action }) => (Effect === 'Allow' ? listOf(Action) : []));
  return [...new Set(allowed.filter((action) => !byService.includes(action)))].sort();
}

describe('the role of a function', () => {
  it.each(functionNames)('lets %s make the calls that are in its code, and no others', (name) => {
    expect(grantedToCode(name)).toEqual(actionsOf(callsOf(built[name])));
  });

  it('is one of those that are bundled', () => {
    expect([...functionNames].sort()).toEqual([...functionEntries].sort());
  });
});

describe('the calls that are found', () => {
  it('are those of the code, and of each function its own', () => {
    expect(callsOf(built.events)).toEqual([
      'dynamodb:DeleteItem',
      'dynamodb:DescribeEndpoints',
      'dynamodb:GetItem',
      'dynamodb:PutItem',
      'dynamodb:Query',
      'states:DescribeExecution',
      'states:SendTaskSuccess',
      'states:StartExecution',
    ]);
    // Loaded later, and found all the same.
    expect(callsOf(built.workflow)).toContain('ecs:RegisterTaskDefinition');
    expect(callsOf(built.api)).not.toContain('ecs:RegisterTaskDefinition');
    expect(callsOf(built.api)).toContain('secretsmanager:PutSecretValue');
  });

  it('need no exception that no function has', () => {
    const all = functionEntries.flatMap((name) => callsOf(built[name]));
    expect(Object.keys(exceptions).filter((call) => !all.includes(call))).toEqual([]);
  });
});

describe('the bundles', () => {
  it('hold nothing that has to be found when it is loaded, but Node itself and converters that are never asked', () => {
    const outside = functionEntries.flatMap((name) =>
      Object.values(built[name].outputs).flatMap(({ imports }) =>
        imports.filter(({ external }) => external).map(({ path, kind }) => `${kind} ${path}`),
      ),
    );
    const notNode = [...new Set(outside)].filter((found) => !/^\S+ node:/.test(found)).sort();
    expect(notNode).toEqual([
      'dynamic-import effect',
      'dynamic-import sury',
      'dynamic-import zod-openapi',
      'dynamic-import zod-to-json-schema',
      'dynamic-import zod/v4/core',
    ]);
  });

  it.each(functionEntries)('load of %s at once the records alone: a cold webhook pays for no other client', (name) => {
    const packages = eagerPackages(built[name], name);
    expect(packages).toContain('@aws-sdk/client-dynamodb');
    const late = /^(@aws-sdk\/(client-|s3-request-presigner)|jose$|ipaddr\.js$|micro-key-producer$)/;
    expect(packages.filter((found) => late.test(found))).toEqual(['@aws-sdk/client-dynamodb']);
  });

  it('hold no path of the machine that made them, and are the same each time', async () => {
    const again = await mkdtemp(join(tmpdir(), 'sluice-calls-'));
    try {
      await buildFunctions(again);
      const [first, second] = [textsIn(folder), textsIn(again)];
      expect(first.size).toBeGreaterThan(functionEntries.length);
      expect(second).toEqual(first);
      const root = join(import.meta.dirname, '../..');
      expect(
        [...first].filter(([, text]) => text.includes(root) || text.includes(tmpdir())).map(([path]) => path),
      ).toEqual([]);
    } finally {
      await rm(again, { recursive: true, force: true });
    }
  });
});

/** The packages of what a function's file imports before it runs, and not when it is asked. */
function eagerPackages({ outputs }: Metafile, name: string): readonly string[] {
  const eager = new Set<string>();
  const add = (path: string): void => {
    if (eager.has(path)) return;
    eager.add(path);
    for (const { path: next, kind, external } of outputs[path]?.imports ?? [])
      if (kind === 'import-statement' && !external) add(next);
  };
  add(Object.keys(outputs).find((path) => path.endsWith(`/${name}.mjs`)) ?? '');
  const inputs = [...eager].flatMap((path) => Object.entries(outputs[path]?.inputs ?? {}));
  const found = inputs.flatMap(([path, { bytesInOutput }]) => {
    const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path) ?? [];
    return name && bytesInOutput > 0 ? [name] : [];
  });
  return [...new Set(found)].sort();
}

function textsIn(folder: string): Map<string, string> {
  const paths = globSync('**/*', { cwd: folder }).filter((path) => statSync(join(folder, path)).isFile());
  return new Map(paths.sort().map((path) => [path, readFileSync(join(folder, path), 'utf8')]));
}
