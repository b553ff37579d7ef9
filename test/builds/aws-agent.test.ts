import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import * as v from 'valibot';
import { strangerOnCodeBuild, userIn } from '../../buildspecs/agent/code-build.ts';
import { artifactResultSchema } from '../../functions/builds/spec.ts';
import { makeAwsBuilds, processesOf, roleSecrets, type AwsBuilds } from '../support/aws-builds.ts';
import { makeAwsEndpoint, type AwsEndpoint } from '../support/aws-endpoint.ts';
import { bundleRequest, makeSource, type Repository } from '../support/builds.ts';
import { awsError } from '../support/scripted-aws.ts';
import { makeKeyPair, sshdMissing, startSshd, type KeyPair, type Sshd } from '../support/sshd.ts';

const isRoot = process.getuid?.() === 0;
const missing = isRoot ? await sshdMissing() : 'only root can give the app’s command another user';
/** Nobody's on a machine that is not CodeBuild's. */
const stranger = { uid: 61_000, gid: 61_000 };
const secret = 'apps/web/source/deploy-key';

describe('whom the app’s command runs as', () => {
  it('is CodeBuild’s own user where its image has one, and never root', () => {
    expect(userIn('root:x:0:0::/root:/bin/sh\ncodebuild-user:x:1000:1001::/home:/bin/sh\n')).toEqual({
      uid: 1000,
      gid: 1001,
    });
    expect(userIn('codebuild-user:x:0:0::/root:/bin/sh\n')).toBeUndefined();
    expect(userIn('my-codebuild-user:x:1:1::/:/bin/sh\n')).toBeUndefined();
    expect(userIn('')).toBeUndefined();
  });

  it('is nobody at all where the agent cannot protect itself from that user', async () => {
    const getuid = vi.spyOn(process, 'getuid').mockReturnValue(1000);
    await expect(strangerOnCodeBuild()).rejects.toMatchObject({ kind: 'unsupported' });
    getuid.mockRestore();
  });
});

describe.skipIf(missing !== undefined)(`a build in CodeBuild${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let builds: AwsBuilds;
  let endpoint: AwsEndpoint;
  let source: Repository;
  let sshd: Sshd;
  let key: KeyPair;
  beforeAll(async () => {
    key = await makeKeyPair();
    endpoint = await makeAwsEndpoint({
      GetSecretValue: ({ SecretId }: { SecretId: string }) => {
        if (SecretId !== `sluice/${secret}`) throw awsError('ResourceNotFoundException');
        return { SecretString: key.privateKey, VersionId: 'v'.repeat(32) };
      },
    });
    builds = await makeAwsBuilds(endpoint);
    source = await makeSource();
    sshd = await startSshd({ authorized: key });
  });
  beforeEach(() => {
    endpoint.calls.length = 0;
    endpoint.objects.clear();
  });
  afterAll(async () => {
    await sshd.close();
    await source.remove();
    await builds.remove();
    await endpoint.close();
  });

  const bundle = (
    command: string | undefined,
    more: { timeoutSeconds?: number; secret?: string; pins?: string[] } = {},
  ) =>
    bundleRequest(
      {
        repoUrl: sshd.urlOf(source.folder),
        credential: { kind: 'ssh-key', secret: more.secret ?? secret },
        hostKeys: more.pins ?? [sshd.pin()],
      },
      command === undefined ? {} : { command },
      more.timeoutSeconds === undefined ? {} : { timeoutSeconds: more.timeoutSeconds },
    );
  /** What the bundle in the bucket holds, by name. */
  const stored = () => {
    const [path, object] = [...endpoint.objects].find(([name]) => name.includes('/blobs/')) ?? [];
    if (!object) throw new Error('no bundle is in the bucket');
    const read = (name: string) => execFileSync('tar', ['-xzO', name], { input: object.body, encoding: 'utf8' });
    return { path, ...object, read };
  };
  const expectEmpty = async () => {
    const fetched = ['source', 'home', 'tmp', 'archive', 'credential', 'registry', 'image'];
    expect((await readdir(builds.work)).filter((name) => fetched.includes(name))).toEqual([]);
  };

  it('keeps its bundle in the bucket, under the digest that S3 has checked, when nothing of the command runs', async () => {
    const stays = `(setsid sh -c 'trap "" TERM; while :; do sleep 0.2; done' >/dev/null 2>&1 &)`;
    const { failure, exported, text } = await builds.run(bundle(`cp app.txt built.txt; ${stays}; ${stays}`));
    expect(failure, text).toBeUndefined();
    expect(await processesOf(stranger.uid)).toEqual([]);
    const result = v.parse(artifactResultSchema, JSON.parse(exported['SLUICE_RESULT'] ?? ''));
    const { path, body, headers, read } = stored();
    const sha256 = createHash('sha256').update(body);
    expect(path).toBe(`the-bucket/blobs/sha256/${result.digest.slice('sha256:'.length)}`);
    expect(headers['x-amz-checksum-sha256']).toBe(sha256.copy().digest('base64'));
    expect(headers['if-none-match']).toBe('*');
    expect(result.digest).toBe(`sha256:${sha256.digest('hex')}`);
    expect(result.commit).toBe(await source.git('rev-parse', 'HEAD'));
    expect(read('built.txt')).toBe('one\n');
    expect(exported['SLUICE_REASON']).toBeUndefined();
    expect(endpoint.calls.filter((call) => call === 'GetSecretValue')).toHaveLength(1);
    await expectEmpty();
  });

  it('runs the app’s command as a stranger, who finds the role’s credential nowhere', async () => {
    const { failure, text } = await builds.run(
      bundle(`id -u > who; id -G >> who; env > own
        for file in /proc/[0-9]*/environ ../*; do tr '\\0' '\\n' < "$file"; done > found 2> refused
        ls .. > beside 2>&1; git log --format=%s > log; echo > "$HOME/mine"; echo > "$TMPDIR/mine"
        ls -ln app.txt > owned; touch ../reason; cat ../state.json > state; true`),
    );
    expect(failure, text).toBeUndefined();
    const { read, body } = stored();
    expect(read('who')).toBe('61000\n61000\n');
    const seen = [read('own'), read('found'), read('refused'), read('beside'), read('state'), text].join('\n');
    for (const value of [...roleSecrets, 'AWS_', 'CODEBUILD_', 'SLUICE_SPEC', 'PRIVATE KEY']) {
      expect(seen, value).not.toContain(value);
    }
    // It could look at some processes at all: its own.
    expect(read('found')).toContain('SLUICE_APP=web');
    expect(read('refused')).toMatch(/environ: Permission denied/);
    expect(read('beside')).toContain('Permission denied');
    expect(read('owned')).toMatch(/ 61000 +61000 /);
    expect(read('log')).toBe('First\n');
    expect(body.includes('marked-')).toBe(false);
    await expectEmpty();
  });

  it('ends a build at its time limit, with all that it has started, and says so', async () => {
    const { failure, exported, text } = await builds.run(
      bundle('(setsid sleep 300 &) ; sleep 300; echo on > went', { timeoutSeconds: 5 }),
    );
    expect(failure).toBeDefined();
    expect(exported).toEqual({ SLUICE_REASON: 'The build took longer than its limit of 5 s' });
    expect(text).toContain('longer than its limit of 5 s');
    expect(await processesOf(stranger.uid)).toEqual([]);
    expect(endpoint.objects.size).toBe(0);
    await expectEmpty();
  });

  it('says why a command failed, and keeps nothing', async () => {
    const { failure, exported } = await builds.run(bundle('echo broken >&2; exit 3'));
    expect(failure?.phase).toBe('build');
    expect(exported).toEqual({ SLUICE_REASON: 'The build command failed: sh ended with 3' });
    expect(endpoint.objects.size).toBe(0);
    await expectEmpty();
  });

  it('names the secret that is not there, and comes to no other phase', async () => {
    const { failure, exported } = await builds.run(bundle('true', { secret: 'apps/web/source/other' }));
    expect(failure?.phase).toBe('pre_build');
    expect(exported['SLUICE_REASON']).toBe('There is no secret apps/web/source/other');
    await expectEmpty();
  });

  it('accepts a host’s key once, remembers it in the bucket, and refuses another one', async () => {
    expect((await builds.run(bundle(undefined, { pins: [] }))).failure).toBeUndefined();
    const remembered = endpoint.objects.get('the-bucket/known-hosts/web');
    expect(remembered?.body.toString()).toBe(`${sshd.pin()}\n`);
    expect(remembered?.headers['if-none-match']).toBe('*');
    endpoint.calls.length = 0;
    expect((await builds.run(bundle(undefined, { pins: [] }))).failure).toBeUndefined();
    expect(endpoint.calls).not.toContain('PUT the-bucket/known-hosts/web');
    await sshd.restart();
    const { failure, exported } = await builds.run(bundle(undefined, { pins: [] }));
    expect(failure?.phase).toBe('pre_build');
    expect(exported['SLUICE_REASON']).toContain('Host key verification failed');
    expect(endpoint.objects.get('the-bucket/known-hosts/web')?.body.toString()).toBe(remembered?.body.toString());
  });

  it('clones from no folder of the machine', async () => {
    const { exported } = await builds.run(bundleRequest({ repoUrl: source.url }));
    expect(exported['SLUICE_REASON']).toMatch(/transport 'file' not allowed/);
  });

  it('begins with an empty place, whatever a build before has left there', async () => {
    await mkdir(`${builds.work}/source`, { recursive: true });
    await writeFile(`${builds.work}/reason`, 'of before');
    await writeFile(`${builds.work}/began`, '0');
    const { failure, exported } = await builds.run(bundle(undefined));
    expect(failure).toBeUndefined();
    expect(exported['SLUICE_REASON']).toBeUndefined();
    expect(await readFile(`${builds.work}/began`, 'utf8')).not.toBe('0');
  });
});
