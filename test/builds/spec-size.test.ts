import { afterEach, expect, it } from 'vitest';
import { parseApp } from '../../functions/apps/parse.ts';
import { planBuild } from '../../functions/builds/plan.ts';
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
