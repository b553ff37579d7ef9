import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { CodeBuildClient } from '@aws-sdk/client-codebuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeLogCursor, encodeLogCursor } from '../../functions/aws/build-log-cursor.ts';
import { linesOf } from '../../functions/aws/build-log-lines.ts';
import { readBuildLogs } from '../../functions/aws/build-logs.ts';
import { slowCalls } from '../../functions/aws/client.ts';
import type { Builder, LogLine } from '../../functions/ports/builder.ts';
import type { OpenRecords } from '../../local/records.ts';
import { openTestRecords } from '../support/records.ts';
import { awsError, scriptAws, testAwsConfig } from '../support/scripted-aws.ts';
import { builtByHand, scriptedCodeBuild, scriptedPrefix as prefix } from '../support/scripted-codebuild.ts';

let hand: ReturnType<typeof builtByHand>;
let aws: ReturnType<typeof scriptedCodeBuild>;
let stores: OpenRecords;
let builder: Pick<Builder, 'logs'>;
let laterMs: number;
beforeEach(async () => {
  hand = builtByHand();
  aws = scriptedCodeBuild(hand.work);
  stores = await openTestRecords();
  laterMs = 0;
  const config = { ...slowCalls, ...testAwsConfig };
  builder = readBuildLogs({
    client: scriptAws(new CodeBuildClient(config), aws.script),
    logs: scriptAws(new CloudWatchLogsClient(config), aws.script),
    records: stores.records,
    prefix,
    clock: () => Date.now() + laterMs,
  });
});
afterEach(async () => await stores.close());

const start = (buildId = 'b1') =>
  aws.add({
    projectName: `${prefix}-build-bundle`,
    environmentVariablesOverride: [{ name: 'SLUICE_SPEC', value: JSON.stringify({ buildId }) }],
  });
const line = (phase: string, text: string, at = 1000): LogLine => ({ at, phase, text });
const running = { status: 'running', phase: 'build' } as const;
/** Reads to the end, with what was asked for at most a page. */
async function readAll(limit?: number): Promise<{ lines: LogLine[]; pages: number }> {
  const lines: LogLine[] = [];
  let after: string | undefined;
  for (let pages = 1; pages < 500; pages += 1) {
    const page = await builder.logs('b1', {
      ...(after === undefined ? {} : { after }),
      ...(limit === undefined ? {} : { limit }),
    });
    expect(page.lines.length).toBeLessThanOrEqual(limit ?? 1000);
    lines.push(...page.lines);
    after = page.next;
    if (page.done) return { lines, pages };
  }
  throw new Error('The log has no end');
}
const own = (lines: readonly LogLine[]) => lines.filter(({ text }) => !text.startsWith('[Container]'));

describe('the lines of log events', () => {
  const container = (text: string) => ({ timestamp: 1, message: `[Container] 2025/12/14 22:48:34.187218 ${text}\n` });
  const event = (message: string) => ({ timestamp: 2, message });

  it('have the phase that CodeBuild has entered', () => {
    const told = [
      container('Waiting for agent ping'),
      container('Entering phase PRE_BUILD'),
      event('one\n'),
      container('Entering phase BUILD '),
      event('two'),
      container('Phase complete: UPLOAD_ARTIFACTS State: SUCCEEDED'),
    ];
    const { lines, phase } = linesOf(told, 'provisioning');
    expect(lines.map((shown) => shown.phase)).toEqual([
      'provisioning',
      'pre_build',
      'pre_build',
      'build',
      'build',
      'upload_artifacts',
    ]);
    expect(phase).toBe('upload_artifacts');
    expect(own(lines)).toEqual([line('pre_build', 'one', 2), line('build', 'two', 2)]);
  });

  it('believe no phase that has passed, and none that does not exist', () => {
    const told = [container('Entering phase PRE_BUILD'), container('Entering phase NONSENSE'), event('x')];
    expect(linesOf(told, 'build').phase).toBe('build');
  });

  it('are one each, also of an event with several, and of progress that is drawn over', () => {
    const { lines } = linesOf([event('a\r\nb\n\nc\n'), event('10%\r20%\r\n'), event('\n'), event('')], 'build');
    expect(lines.map(({ text }) => text)).toEqual(['a', 'b', '', 'c', '10%', '20%', '', '']);
  });

  it('are cut when they are very long', () => {
    expect(linesOf([event('x'.repeat(20_000))], 'build').lines[0]?.text).toBe(`${'x'.repeat(16 * 1024)} … (cut)`);
  });
});

describe('a cursor', () => {
  it('is read back for its own build and for no other', () => {
    const position = { runId: 'p:u', token: 'f/1/s', skip: 3, phase: 'build' } as const;
    const cursor = encodeLogCursor('b1', position);
    expect(cursor).toMatch(/^[\w-]+$/);
    expect(decodeLogCursor('b1', cursor)).toEqual(position);
    expect(() => decodeLogCursor('b2', cursor)).toThrow('after: expected');
  });

  it.each([
    'x',
    '0',
    Buffer.from('["b1"]').toString('base64url'),
    Buffer.from('["b1","r","t",-1,"build"]').toString('base64url'),
    Buffer.from('["b1","r","t",1,"no-phase"]').toString('base64url'),
    Buffer.from(`["b1","r","${'t'.repeat(2000)}",1,"build"]`).toString('base64url'),
  ])('that is not ours is refused: %s', async (after) => {
    await expect(builder.logs('b1', { after })).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('whose token CloudWatch does not take, or takes no more, is refused as ours', async () => {
    const run = start();
    hand.observed.set(run.id, running);
    const after = encodeLogCursor('b1', { runId: run.runId, token: 'forged', skip: 0, phase: 'build' });
    await expect(builder.logs('b1', { after })).rejects.toMatchObject({ kind: 'invalid' });
  });
});

describe('the log of a build', () => {
  it('is empty and goes on while the build has no machine yet', async () => {
    const run = start();
    const before = await builder.logs('b1');
    expect(before).toMatchObject({ lines: [], done: false });
    hand.observed.set(run.id, running);
    hand.say(run.id, line('build', 'hello'));
    laterMs = 4000;
    const page = await builder.logs('b1', { after: before.next });
    expect(own(page.lines)).toEqual([line('build', 'hello')]);
    expect(page.done).toBe(false);
  });

  it('is not done before the build is over for some seconds: its last lines may come late', async () => {
    const run = start();
    hand.say(run.id, line('build', 'one'));
    hand.end(run.id, 'succeeded');
    const first = await builder.logs('b1');
    const second = await builder.logs('b1', { after: first.next });
    expect(second).toMatchObject({ lines: [], done: false });
    hand.say(run.id, line('build', 'the last'));
    laterMs = 4000;
    const third = await builder.logs('b1', { after: second.next });
    expect(third.lines).toEqual([line('build', 'the last')]);
    laterMs = 20_000;
    expect(await builder.logs('b1', { after: third.next })).toMatchObject({ lines: [], done: true });
  });

  it('of a build that never had a machine is done when the build is', async () => {
    hand.end(start().id, 'failed');
    aws.faults.before = (operation) => {
      if (operation === 'GetLogEvents') throw awsError('ResourceNotFoundException', 'The log stream does not exist');
    };
    await builder.logs('b1');
    laterMs = 20_000;
    expect(await builder.logs('b1')).toMatchObject({ lines: [], done: true });
  });

  it.each([1, 2, 7, 1000])('comes once and in order in pages of %i, also of events with many lines', async (limit) => {
    const run = start();
    hand.say(run.id, line('pre_build', 'first'));
    for (let at = 0; at < 12; at += 1) hand.say(run.id, line('build', `${at}a\n${at}b\n${at}c`));
    hand.say(run.id, line('post_build', 'last'));
    hand.end(run.id, 'succeeded');
    await builder.logs('b1');
    laterMs = 20_000;
    const { lines } = await readAll(limit);
    const many = Array.from({ length: 12 }, (_, at) => ['a', 'b', 'c'].map((part) => line('build', `${at}${part}`)));
    expect(own(lines)).toEqual([line('pre_build', 'first'), ...many.flat(), line('post_build', 'last')]);
  });

  it('comes once and in order when each page is asked for with another limit', async () => {
    const run = start();
    hand.observed.set(run.id, running);
    for (let at = 0; at < 8; at += 1) hand.say(run.id, line('build', at % 2 ? `${at}a\n${at}b\n${at}c` : `${at}`));
    const texts: string[] = [];
    let after: string | undefined;
    for (const limit of [6, 1, 3, 9, 1, 2, 1, 1, 50]) {
      const page = await builder.logs('b1', { limit, ...(after === undefined ? {} : { after }) });
      texts.push(...own(page.lines).map(({ text }) => text));
      after = page.next;
    }
    expect(texts.join(' ')).toBe('0 1a 1b 1c 2 3a 3b 3c 4 5a 5b 5c 6 7a 7b 7c');
  });

  it('goes on past an empty page in its middle', async () => {
    const run = start();
    hand.say(run.id, line('build', 'hello'));
    hand.observed.set(run.id, running);
    aws.page.emptyFirst = true;
    expect(own((await builder.logs('b1')).lines)).toEqual([line('build', 'hello')]);
  });

  it('begins anew when the build was begun anew', async () => {
    const first = start();
    hand.observed.set(first.id, running);
    hand.say(first.id, line('build', 'before'));
    const page = await builder.logs('b1');
    const after = encodeLogCursor('b1', { ...decodeLogCursor('b1', page.next), runId: 'another:run' });
    expect(own((await builder.logs('b1', { after })).lines)).toEqual([line('build', 'before')]);
  });

  it('that is throttled is asked for again', async () => {
    const run = start();
    hand.observed.set(run.id, running);
    hand.say(run.id, line('build', 'hello'));
    let left = 1;
    aws.faults.before = (operation) => {
      if (operation === 'GetLogEvents' && left-- > 0) throw awsError('ThrottlingException', 'Rate exceeded');
    };
    expect(own((await builder.logs('b1')).lines)).toHaveLength(1);
  });

  it('of an unknown build is empty and done, and CodeBuild is not asked each time', async () => {
    expect(await builder.logs('b1')).toMatchObject({ lines: [], done: true });
    const calls = aws.calls.length;
    await builder.logs('b1');
    expect(aws.calls).toHaveLength(calls);
    const run = start();
    hand.observed.set(run.id, running);
    laterMs = 4000;
    expect(await builder.logs('b1')).toMatchObject({ done: false });
  });

  it('is one call for each look once it is known where it is', async () => {
    const run = start();
    hand.observed.set(run.id, running);
    hand.say(run.id, line('build', 'hello'));
    const { next } = await builder.logs('b1');
    laterMs = 4000;
    const again = await builder.logs('b1', { after: next });
    aws.calls.length = 0;
    for (let look = 0; look < 5; look += 1) await builder.logs('b1', { after: again.next });
    expect(aws.calls).toEqual(Array.from({ length: 5 }, () => 'GetLogEvents'));
  });
});
