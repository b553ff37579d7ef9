import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { violations } from './check.ts';
import { areas } from './rules.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

function sourcesUnder(folders: readonly string[]): Map<string, string> {
  const patterns = folders.map((folder) => `${folder}/**/*.ts`);
  const paths = globSync(patterns, { cwd: root, exclude: (name) => name.includes('node_modules') });
  return new Map(paths.map((path) => [path.replaceAll('\\', '/'), readFileSync(`${root}${path}`, 'utf8')]));
}

describe('the repository', () => {
  const sources = sourcesUnder(['functions', 'local', 'buildspecs', 'cli', 'web', 'infra', 'scripts', 'test']);

  it('imports one way only, keeps its domain pure and its files named and short', () => {
    expect(violations(sources)).toEqual([]);
  });

  it('is all read: every governed folder that has files is among what was checked', () => {
    expect([...sources.keys()].filter((path) => path.startsWith('functions/')).length).toBeGreaterThan(20);
    expect(sources.has('local/records.ts')).toBe(true);
  });
});

describe('the check', () => {
  const told = (path: string, text: string) => violations(new Map([[path, text]]));

  it.each([
    ['functions/deployments/x.ts', "import { App } from '../apps/schema.ts';"],
    [
      'functions/deployments/x.ts',
      "import { Problem } from '../runtime/errors.ts'; import { update } from '../ports/update.ts';",
    ],
    [
      'functions/deployments/x.ts',
      "import { createHash } from 'node:crypto'; new Date(5); const date = (now) => new Date(now);",
    ],
    ['functions/deployments/x.ts', "import { v5 } from 'uuid';"],
    ['functions/ports/x.ts', "import type { App } from '../apps/schema.ts';"],
    [
      'functions/aws/x.ts',
      "import { S3Client } from '@aws-sdk/client-s3'; import type { Digest } from '../runtime/units.ts'; Date.now();",
    ],
    ['functions/api/x.ts', "import { Hono } from 'hono'; import { cancel } from '../deployments/cancel.ts';"],
    ['functions/workflow/x.ts', "import asl from './deploy.asl.json' with { type: 'json' };"],
    ['local/main.ts', "import { api } from '../functions/api/app.ts'; process.env['PORT'];"],
    ['local/records.ts', "import { dynamoRecords } from '../functions/aws/records.ts';"],
    [
      'cli/x.ts',
      "import type { Deployment } from '../functions/deployments/deployment.ts'; import packageJson from '../package.json';",
    ],
    ['test/x.test.ts', "import { dynamoRecords } from '../functions/aws/records.ts'; import '@aws-sdk/client-s3';"],
  ])('allows in %s: %s', (path, text) => {
    expect(told(path, text)).toEqual([]);
  });

  it.each([
    ['functions/deployments/x.ts', "import { route } from '../api/x.ts';"],
    ['functions/deployments/x.ts', "import type { Route } from '../api/x.ts';"],
    ['functions/deployments/x.ts', "import { dynamoRecords } from '../aws/records.ts';"],
    ['functions/deployments/x.ts', "import { open } from '../../local/records.ts';"],
    ['functions/deployments/x.ts', "import { test } from '../../test/support/records.ts';"],
    ['functions/deployments/x.ts', "export { open } from '../../local/records.ts';"],
    ['functions/deployments/x.ts', "export * from '../../local/records.ts';"],
    ['functions/deployments/x.ts', "await import('../../local/records.ts');"],
    ['functions/deployments/x.ts', 'await import(name);'],
    ['functions/deployments/x.ts', "type Local = import('../../local/records.ts').OpenRecords;"],
    ['functions/apps/x.ts', "import { S3Client } from '@aws-sdk/client-s3';"],
    ['functions/apps/x.ts', "import type { S3Client } from '@aws-sdk/client-s3';"],
    ['functions/apps/x.ts', "import { readFile } from 'node:fs/promises';"],
    ['functions/apps/x.ts', "import { readFileSync } from 'fs';"],
    ['functions/apps/x.ts', "import { spawn } from 'node:child_process';"],
    ['functions/apps/x.ts', "import { connect } from 'node:net';"],
    ['functions/apps/x.ts', "import { request } from 'node:http';"],
    ['functions/apps/x.ts', "import { execa } from 'execa';"],
    ['functions/apps/x.ts', "import { Hono } from 'hono';"],
    ['functions/apps/x.ts', "import { v7 } from 'uuid';"],
    ['functions/apps/x.ts', "process.env['HOME'];"],
    ['functions/apps/x.ts', 'const { PORT } = process.env;'],
    ['functions/apps/x.ts', 'Date.now();'],
    ['functions/apps/x.ts', "Date['now']();"],
    ['functions/apps/x.ts', 'globalThis.Date.now();'],
    ['functions/apps/x.ts', 'const clock = Date.now;'],
    ['functions/apps/x.ts', 'new Date();'],
    ['functions/apps/x.ts', 'Date();'],
    ['functions/apps/x.ts', 'Math.random();'],
    ['functions/apps/x.ts', 'crypto.randomUUID();'],
    ['functions/apps/x.ts', "import { randomUUID } from 'node:crypto';"],
    ['functions/apps/x.ts', "import { randomUUID as id } from 'node:crypto';"],
    ['functions/ports/x.ts', "import { parseApp } from '../apps/schema.ts';"],
    ['functions/ports/x.ts', 'Date.now();'],
    ['functions/workflow/x.ts', "import { route } from '../api/x.ts';"],
    ['functions/workflow/x.ts', 'Date.now();'],
    ['functions/runtime/x.ts', "import { parseApp } from '../apps/schema.ts';"],
    ['functions/aws/x.ts', "import { parseApp } from '../apps/schema.ts';"],
    ['functions/aws/x.ts', "import { open } from '../../local/records.ts';"],
    ['functions/api/x.ts', "import { run } from '../../cli/main.ts';"],
    ['functions/api/x.ts', "import { page } from '../../web/page.ts';"],
    ['functions/api/x.ts', "import { stack } from '../../infra/main.ts';"],
    ['local/x.ts', "import { S3Client } from '@aws-sdk/client-s3';"],
    ['local/x.ts', "import { dynamoRecords } from '../functions/aws/records.ts';"],
    ['local/x.ts', "import { buildAgent } from '../scripts/build-agent.ts';"],
    ['cli/x.ts', "import { parseApp } from '../functions/apps/schema.ts';"],
    ['cli/x.ts', "import { Problem } from '../functions/runtime/errors.ts';"],
    ['cli/x.ts', "import { open } from '../local/records.ts';"],
    ['web/x.ts', "import { type App, parseApp } from '../functions/apps/schema.ts';"],
    ['buildspecs/agent/x.ts', "import { open } from '../../local/records.ts';"],
    ['functions/apps/utils.ts', ''],
    ['functions/helpers/x.ts', ''],
    ['cli/common.ts', ''],
    ['test/support/test-utils/helper.ts', ''],
  ])('refuses in %s: %s', (path, text) => {
    expect(told(path, text).length).toBeGreaterThan(0);
    expect(told(path, text)[0]).toContain(path);
  });

  it('refuses a file of functions with more than 400 lines', () => {
    expect(told('functions/apps/x.ts', 'const one = 1;\n'.repeat(400))).toEqual([]);
    expect(told('functions/apps/x.ts', 'const one = 1;\n'.repeat(401))).toEqual([
      'functions/apps/x.ts: has 401 lines, more than 400',
    ]);
  });

  it('refuses files that import one another in a ring, but not for types', () => {
    const ring = (kind: string) =>
      new Map([
        ['functions/apps/a.ts', `import { b } from './b.ts';`],
        ['functions/apps/b.ts', `import { c } from '../builds/c.ts';`],
        ['functions/builds/c.ts', `import ${kind} { a } from '../apps/a.ts';`],
      ]);
    const way = 'functions/apps/a.ts → functions/apps/b.ts → functions/builds/c.ts → functions/apps/a.ts';
    expect(violations(ring(''))).toEqual([`${way}: a cycle`]);
    expect(violations(ring('type'))).toEqual([]);
  });

  it('stops at a file it cannot parse', () => {
    expect(() => told('functions/apps/x.ts', 'import {')).toThrow('cannot be parsed');
  });

  it('knows every folder of functions', () => {
    const known = Object.values(areas).flatMap(({ folders }) => folders);
    const there = globSync('functions/*/', { cwd: root }).map((path) => path.replaceAll('\\', '/').replace(/\/$/, ''));
    expect(there.filter((folder) => !known.includes(folder))).toEqual([]);
  });
});
