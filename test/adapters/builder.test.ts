import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { CodeBuildClient } from '@aws-sdk/client-codebuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rememberBuildRun } from '../../functions/aws/build-events.ts';
import {
  batchGetBuildsInput,
  listBuildsInput,
  logEventsInput,
  projectsInput,
  startBuildInput,
  stopBuildInput,
} from '../../functions/aws/build-requests.ts';
import { recallBuildRun } from '../../functions/aws/build-runs.ts';
import { codeBuildBuilder } from '../../functions/aws/builder.ts';
import { slowCalls } from '../../functions/aws/client.ts';
import { tooLongReason } from '../../functions/builds/too-long.ts';
import { buildReason } from '../../functions/ports/build-end.ts';
import type { Builder, BuildRequest } from '../../functions/ports/builder.ts';
import type { OpenRecords } from '../../local/records.ts';
import { request } from '../support/builds.ts';
import { openTestRecords } from '../support/records.ts';
import { awsError, scriptAws, testAwsConfig } from '../support/scripted-aws.ts';
import { builtByHand, scriptedCodeBuild, scriptedPrefix as prefix } from '../support/scripted-codebuild.ts';

const roleArnPrefix = `arn:aws:iam::123456789012:role/${prefix}/build/${prefix}-build-`;
const fetchOf = (buildId: string): BuildRequest =>
  request(
    {
      kind: 'fetch',
      fetch: {
        url: 'https://example.com/a.tgz',
        sha256: 'a'.repeat(64),
        artifactKind: 'bundle',
        maxBytes: 10,
        allowPrivateHosts: false,
        tag: 'sluice-web:d1',
      },
    },
    { buildId, timeoutSeconds: 600 },
  );
/** As the state machine starts one: without a token, and nobody here is told. */
const startByMachine = (buildId: string) => {
  const { idempotencyToken: _, ...input } = startBuildInput({ prefix, roleArnPrefix }, fetchOf(buildId));
  return aws.add(input);
};

let hand: ReturnType<typeof builtByHand>;
let aws: ReturnType<typeof scriptedCodeBuild>;
let stores: OpenRecords;
let builder: Builder;
let laterMs: number;
const clock = () => Date.now() + laterMs;
const openBuilder = (): Builder =>
  codeBuildBuilder({
    client: scriptAws(new CodeBuildClient({ ...slowCalls, ...testAwsConfig }), aws.script),
    logs: scriptAws(new CloudWatchLogsClient({ ...slowCalls, ...testAwsConfig }), aws.script),
    records: stores.records,
    prefix,
    roleArnPrefix,
    clock,
    pauseMs: 1,
  });
beforeEach(async () => {
  hand = builtByHand();
  aws = scriptedCodeBuild(hand.work);
  stores = await openTestRecords();
  laterMs = 0;
  builder = openBuilder();
});
afterEach(async () => await stores.close());
const times = (count: number, error: () => Error) => {
  let left = count;
  return () => {
    if (left-- > 0) throw error();
  };
};
const lost = () => awsError('InternalFailure', 'the answer was lost', 500);

describe('what is asked of CodeBuild and CloudWatch Logs', () => {
  it('is a start as the state machine makes it', () => {
    const built = fetchOf('b1');
    expect(startBuildInput({ prefix, roleArnPrefix }, built)).toEqual({
      projectName: 'sluice-test-build-fetch',
      idempotencyToken: 'b1',
      environmentVariablesOverride: [{ name: 'SLUICE_SPEC', type: 'PLAINTEXT', value: JSON.stringify(built.spec) }],
      serviceRoleOverride: `arn:aws:iam::123456789012:role/${prefix}/build/sluice-test-build-web`,
      timeoutInMinutesOverride: 10,
      autoRetryLimitOverride: 0,
    });
  });

  it.each([
    [1, 5],
    [301, 6],
    [999_999, 2160],
  ])('grants a build of %i s so many minutes: %i', (timeoutSeconds, minutes) => {
    const { kind, spec } = fetchOf('b1');
    const input = startBuildInput({ prefix, roleArnPrefix }, { kind, spec: { ...spec, timeoutSeconds } });
    expect(input.timeoutInMinutesOverride).toBe(minutes);
  });

  it('is a list in the order that needs no asking, and builds, a stop and projects by their names', () => {
    expect(listBuildsInput(prefix, 'image')).toEqual({ projectName: 'sluice-test-build-image' });
    expect(listBuildsInput(prefix, 'image', 'n')).toEqual({ projectName: 'sluice-test-build-image', nextToken: 'n' });
    expect(batchGetBuildsInput(['a', 'b'])).toEqual({ ids: ['a', 'b'] });
    expect(stopBuildInput('a')).toEqual({ id: 'a' });
    const kinds = ['image', 'bundle', 'fetch', 'registry', 'import', 'check'];
    expect(projectsInput('s').names).toEqual(kinds.map((kind) => `s-build-${kind}`));
  });

  it('is a log from its head, or on from a token', () => {
    const place = { group: '/s/build/image', stream: 'uuid' };
    expect(logEventsInput(place, { token: undefined, limit: 7 })).toEqual({
      logGroupName: '/s/build/image',
      logStreamName: 'uuid',
      startFromHead: true,
      limit: 7,
    });
    expect(logEventsInput(place, { token: 'f/1', limit: 99_999 })).toMatchObject({ nextToken: 'f/1', limit: 10_000 });
  });
});

describe('starting a build', () => {
  it('whose answer is lost, that is throttled, and that comes late, makes one', async () => {
    aws.faults.before = times(1, () => awsError('ThrottlingException'));
    aws.faults.after = times(2, lost);
    await builder.start(fetchOf('b1'));
    await openBuilder().start(fetchOf('b1'));
    expect(aws.runs).toHaveLength(1);
  });

  it('finds the one that was started before its start could be written down', async () => {
    startByMachine('b1');
    await builder.start(fetchOf('b1'));
    expect(aws.runs).toHaveLength(1);
  });

  it('is busy when as many run as may, and unsupported without a project', async () => {
    aws.settings.maxRunning = 0;
    await expect(builder.start(fetchOf('b1'))).rejects.toMatchObject({ kind: 'busy' });
    aws.settings.projects.delete('sluice-test-build-fetch');
    await expect(builder.start(fetchOf('b1'))).rejects.toMatchObject({ kind: 'unsupported' });
    await expect(builder.ready()).rejects.toThrow('CodeBuild has no project sluice-test-build-fetch');
  });

  it('is seen to run before CodeBuild describes it', async () => {
    await builder.start(fetchOf('b1'));
    aws.hidden.add(aws.runs[0]?.runId ?? '');
    expect(await builder.observe('b1')).toEqual({ status: 'running', phase: 'submitted' });
    laterMs = 3_600_000;
    expect(await builder.observe('b1')).toEqual({ status: 'unknown' });
  });
});

describe('a build that the state machine started', () => {
  const event = (run: { runId: string; startTime: Date }, buildId: string, more: object = {}) => ({
    at: run.startTime.getTime(),
    detail: {
      'build-status': 'IN_PROGRESS',
      'project-name': 'sluice-test-build-fetch',
      'build-id': `arn:aws:codebuild:eu-central-1:123456789012:build/${run.runId}`,
      'additional-information': {
        environment: {
          'environment-variables': [
            { name: 'SLUICE_SPEC', type: 'PLAINTEXT', value: JSON.stringify(fetchOf(buildId).spec) },
          ],
        },
        'build-start-time': 'Sep 1, 2026 4:12:29 PM',
        logs: { 'group-name': null, 'stream-name': null },
      },
      ...more,
    },
  });

  it('is known by its event, without a search', async () => {
    const run = startByMachine('b1');
    hand.observed.set(run.id, { status: 'running', phase: 'pre_build' });
    expect(await rememberBuildRun(stores.records, prefix, event(run, 'b1'))).toBe('b1');
    expect(await builder.observe('b1')).toEqual({ status: 'running', phase: 'pre_build' });
    expect(aws.calls).toEqual(['BatchGetBuilds']);
    expect(await recallBuildRun(stores.records, 'b1')).toEqual({
      runId: run.runId,
      startedAt: Date.UTC(2026, 8, 1, 16, 12, 29),
    });
  });

  it('keeps the later of two runs, whichever event comes first or twice', async () => {
    const [early, late] = [startByMachine('b1'), startByMachine('b1')];
    const started = (run: typeof early, at: string) => {
      const told = event(run, 'b1');
      const more = { ...told.detail['additional-information'], 'build-start-time': at };
      return { ...told, detail: { ...told.detail, 'additional-information': more } };
    };
    const first = started(early, 'Sep 1, 2026 4:12:29 PM');
    const second = started(late, 'Sep 1, 2026 4:12:30 PM');
    for (const told of [second, first, first, second, first]) await rememberBuildRun(stores.records, prefix, told);
    expect((await recallBuildRun(stores.records, 'b1'))?.runId).toBe(late.runId);
  });

  it.each([
    ['another project', { 'project-name': 'somebody-build-fetch' }],
    ['a build without our spec', { 'additional-information': { environment: { 'environment-variables': [] } } }],
    ['no build', { 'build-id': 'x' }],
  ])('is not taken for one by an event of %s', async (_, more) => {
    expect(await rememberBuildRun(stores.records, prefix, event(startByMachine('b1'), 'b1', more))).toBeUndefined();
    expect(await rememberBuildRun(stores.records, prefix, { detail: 'nothing', at: 0 })).toBeUndefined();
    expect(await recallBuildRun(stores.records, 'b1')).toBeUndefined();
  });

  it('is found among the newest when no event came, and remembered then', async () => {
    const run = startByMachine('b1');
    for (let other = 0; other < 150; other += 1) startByMachine(`other-${other}`);
    expect(await builder.observe('b1')).toMatchObject({ status: 'running' });
    expect((await recallBuildRun(stores.records, 'b1'))?.runId).toBe(run.runId);
    aws.calls.length = 0;
    await builder.observe('b1');
    expect(aws.calls).toEqual(['BatchGetBuilds']);
  });

  it('is looked for no further than the newest 300 of a kind', async () => {
    startByMachine('b1');
    for (let other = 0; other < 300; other += 1) startByMachine(`other-${other}`);
    expect(await builder.observe('b1')).toEqual({ status: 'unknown' });
    expect(aws.calls.filter((call) => call === 'BatchGetBuilds')).toHaveLength(3);
  });
});

describe('the end of a build', () => {
  const ended = async (...end: [Parameters<typeof hand.end>[1], string?]) => {
    hand.end(startByMachine('b1').id, ...end);
    return await builder.observe('b1');
  };

  it('is told with its phases, and the variables that have a value', async () => {
    expect(await ended('succeeded')).toEqual({
      status: 'succeeded',
      reason: '',
      phases: [
        { name: 'pre_build', seconds: 1 },
        { name: 'build', seconds: 2 },
      ],
      exported: {},
    });
  });

  it.each([
    ['failed', 'The build command failed: sh ended with 3', 'failed: The build command failed: sh ended with 3'],
    ['failed', '', 'failed: The phase build failed: Error while executing command. Reason: exit status 1'],
    ['timed_out', '', 'timed_out: The build took longer than its limit of 10 minutes'],
    ['failed', tooLongReason({ timeoutSeconds: 600 }), `timed_out: ${tooLongReason({ timeoutSeconds: 600 })}`],
    ['stopped', '', 'stopped: The build was stopped'],
    [
      'interrupted',
      '',
      'interrupted: The build lost its machine (Error while executing command. Reason: exit status 1)',
    ],
  ] as const)('%s, which said "%s", is %s', async (how, said, expected) => {
    const observed = await ended(how, said);
    expect(`${observed.status}: ${'reason' in observed ? observed.reason : ''}`).toBe(expected);
  });

  it('at its limit is told in the words of the agent', () => {
    for (const timeoutSeconds of [1, 90, 150, 600]) {
      expect(buildReason({ status: 'timed_out', timeoutSeconds })).toBe(tooLongReason({ timeoutSeconds }));
    }
  });
});

describe('stopping a build', () => {
  it('stops every run of it, one in the queue too, and waits for their end', async () => {
    const [first, second] = [startByMachine('b1'), startByMachine('b1')];
    const other = startByMachine('b2');
    hand.observed.set(second.id, { status: 'running', phase: 'queued' });
    await builder.stop('b1');
    expect(hand.observed.get(first.id)).toMatchObject({ status: 'stopped' });
    expect(hand.observed.get(second.id)).toMatchObject({ status: 'stopped' });
    expect(hand.observed.get(other.id)).toMatchObject({ status: 'running' });
  });

  it('does nothing to one that has ended, or is unknown', async () => {
    hand.end(startByMachine('b1').id, 'succeeded');
    await builder.stop('b1');
    await builder.stop('never');
    expect(hand.stopped).toEqual([]);
  });

  it('whose answer is lost is done all the same', async () => {
    const run = startByMachine('b1');
    let left = 1;
    aws.faults.after = (operation) => {
      if (operation === 'StopBuild' && left-- > 0) throw lost();
    };
    await builder.stop('b1');
    expect(hand.observed.get(run.id)).toMatchObject({ status: 'stopped' });
  });

  it('that takes too long says so, and goes on', async () => {
    startByMachine('b1');
    hand.settings.stops = false;
    await expect(builder.stop('b1')).rejects.toMatchObject({ kind: 'busy' });
    expect(hand.stopped).toHaveLength(1);
  });

  it('of one that ended just then is harmless', async () => {
    const run = startByMachine('b1');
    aws.faults.before = (operation) => {
      if (operation !== 'StopBuild') return;
      hand.end(run.id, 'succeeded');
      throw awsError('InvalidInputException', 'Build is already complete');
    };
    await builder.stop('b1');
    expect(await builder.observe('b1')).toMatchObject({ status: 'succeeded' });
  });

  it.each(['../x', '', 'a/b'])('refuses %j, which is no id', async (id) => {
    await expect(builder.stop(id)).rejects.toMatchObject({ kind: 'invalid' });
    await expect(builder.observe(id)).rejects.toMatchObject({ kind: 'invalid' });
  });
});
