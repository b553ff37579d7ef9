import { afterEach, expect, it } from 'vitest';
import { parseApp } from '../../functions/apps/parse.ts';
import { planBuild } from '../../functions/builds/plan.ts';
import { parseBuildSpec } from '../../functions/builds/spec.ts';
import { policy } from '../../functions/lambda/wire.ts';
import { requestDeployment } from '../../functions/deployments/request.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { scriptedCloud } from '../support/scripted-cloud.ts';

/** An app whose build has so many characters in its arguments. */
const appWith = (characters: number) => ({
  source: { repoUrl: 'https://github.com/acme/web', ref: 'r'.repeat(200) },
  build: { kind: 'image' as const, buildArgs: { NOTICE: 'x'.repeat(characters) } },
  environments: [{ name: 'dev', targets: [{ name: 'web', cluster: 'main', service: 'web-dev' }] }],
});
const issuesOf = (input: unknown) => {
  try {
    parseApp(input, policy);
  } catch (error) {
    return error instanceof Problem ? error.issues : error;
  }
  return [];
};
const most = policy.builds?.mostSpecBytes ?? 0;
let cloud: Awaited<ReturnType<typeof scriptedCloud>> | undefined;
afterEach(async () => await cloud?.close());

it('an app whose build is told more than CodeBuild takes is refused on AWS, and on one machine it is not', () => {
  expect(issuesOf(appWith(4000))).toEqual([
    {
      field: 'build',
      expected: 'a source and a build of at most 3296 bytes together as JSON: builds here take no more',
    },
  ]);
  const { builds: _, targets: __, ...anywhere } = policy;
  expect(parseApp(appWith(4000), anywhere).build).toMatchObject({ kind: 'image' });
});

it('what an app may say fits what a build is told, with the longest names and refs', () => {
  const room =
    3296 -
    JSON.stringify({ source: parseApp(appWith(0), policy).source, build: parseApp(appWith(0), policy).build }).length;
  const settings = parseApp(appWith(room), policy);
  const { spec } = planBuild({
    app: 'a'.repeat(40),
    settings,
    deploymentId: 'd'.repeat(36),
    buildId: 'b'.repeat(38),
    request: { kind: 'source', ref: 'r'.repeat(255), commit: 'c'.repeat(40) },
    fetchPolicy: policy.fetch,
  });
  expect(Buffer.byteLength(JSON.stringify(spec))).toBeLessThanOrEqual(most);
  expect(() => parseApp(appWith(room + 1), policy)).toThrow('not valid');
});

/** An app with a check whose command has so many characters. */
const checked = (characters: number) => {
  const { environments, ...app } = appWith(0);
  const checks = [
    { name: 'c'.repeat(40), command: 'x'.repeat(characters), image: `registry.example/${'i'.repeat(200)}` },
  ];
  return { ...app, environments: environments.map((environment) => ({ ...environment, checks })) };
};

it('a check that is told more than CodeBuild takes is refused on AWS, and the longest that is not fits', () => {
  expect(issuesOf(checked(4000))).toEqual([
    {
      field: 'environments[0].checks[0]',
      expected: 'a command and an image of at most 3296 bytes together as JSON: builds here take no more',
    },
  ]);
  const room = 3296 - JSON.stringify({ command: '', image: `registry.example/${'i'.repeat(200)}` }).length;
  const [check] = parseApp(checked(room), policy).environments[0]?.checks ?? [];
  expect(() => parseApp(checked(room + 1), policy)).toThrow('not valid');
  const digest = `sha256:${'d'.repeat(64)}` as const;
  const work = {
    kind: 'check',
    check: {
      name: check?.name ?? '',
      command: check?.command ?? '',
      image: check?.image ?? '',
      artifact: { kind: 'bundle', digest, manifest: digest },
    },
  } as const;
  const ids = { buildId: 'b'.repeat(64), deploymentId: 'b'.repeat(64), app: 'a'.repeat(40) };
  const json = JSON.stringify({ ...ids, timeoutSeconds: 28_799.123, work });
  expect(parseBuildSpec(json)).toEqual(JSON.parse(json));
  expect(Buffer.byteLength(json)).toBeLessThanOrEqual(most);
});

it('what an import is told fits, with the longest names', () => {
  const digest = `sha256:${'d'.repeat(64)}` as const;
  const { spec } = planBuild({
    app: 'a'.repeat(40),
    settings: parseApp(appWith(0), policy),
    deploymentId: 'd'.repeat(36),
    buildId: 'b'.repeat(38),
    request: { kind: 'import', artifact: digest, manifest: digest },
    fetchPolicy: policy.fetch,
  });
  expect(parseBuildSpec(JSON.stringify(spec))).toEqual(spec);
  expect(Buffer.byteLength(JSON.stringify(spec))).toBeLessThanOrEqual(most);
});

it('a build that is told too much fails before it is started, with a sentence', async () => {
  cloud = await scriptedCloud();
  Object.assign(cloud.ports, { policy: { ...cloud.ports.policy, builds: policy.builds } });
  await cloud.apply('web', { ...appWith(0), build: { kind: 'bundle' }, runtime: { command: ['true'] } });
  const url = `https://example.com/${'x'.repeat(4000)}`;
  const { id } = await requestDeployment(cloud.ports, {
    app: 'web',
    environment: 'dev',
    request: { kind: 'fetch', url, sha256: 'a'.repeat(64) },
    trigger: { kind: 'api', actor: 'ann' },
  });
  const { state, buildId } = await cloud.settled(id);
  expect(state).toMatchObject({
    status: 'failed',
    reason: expect.stringMatching(
      /^The build would be told \d+ bytes, and takes 4096: .*; nothing that runs was changed$/,
    ) as string,
  });
  expect(buildId).toBeUndefined();
  expect(cloud.builder.started).toEqual([]);
});
