import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactResultSchema, checkResultSchema } from '../../functions/builds/spec.ts';
import type { Builder, BuildObservation, BuildRequest, LogLine } from '../../functions/ports/builder.ts';
import * as v from 'valibot';

export type BuilderUnderTest = {
  readonly builder: Builder;
  /** A bundle build of a small source whose command this is. */
  readonly bundle: (command: string, options?: { timeoutSeconds?: number }) => BuildRequest;
  /** A check of a committed bundle of one file, `app.txt`, whose command this is. */
  readonly check: (command: string, options?: { timeoutSeconds?: number }) => BuildRequest;
  readonly close: () => Promise<void>;
};

type Ended = Extract<BuildObservation, { reason: string }>;

/** What every implementation of the Builder port holds to. */
export function builderSuite(name: string, make: () => Promise<BuilderUnderTest>): void {
  describe(`Builder: ${name}`, () => {
    let given: BuilderUnderTest;
    beforeAll(async () => {
      given = await make();
    });
    afterAll(async () => {
      await given.close();
    });

    async function ended(buildId: string): Promise<Ended> {
      for (;;) {
        const observed = await given.builder.observe(buildId);
        if ('reason' in observed) return observed;
        if (observed.status === 'unknown') throw new Error('the build is unknown');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    async function logOf(buildId: string, limit = 1000): Promise<LogLine[]> {
      const lines: LogLine[] = [];
      for (let after: string | undefined; ;) {
        const page = await given.builder.logs(buildId, { limit, ...(after === undefined ? {} : { after }) });
        expect(page.lines.length).toBeLessThanOrEqual(limit);
        lines.push(...page.lines);
        after = page.next;
        if (page.done) return lines;
      }
    }
    async function untilLogged(buildId: string, text: string): Promise<void> {
      for (;;) {
        const { lines } = await given.builder.logs(buildId);
        if (lines.some((line) => line.text === text)) return;
        if ('reason' in (await given.builder.observe(buildId))) throw new Error(`ended without saying ${text}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }

    it('ends a good build with its result, phases and exported variables', async () => {
      const request = given.bundle('echo built > built.txt');
      await given.builder.start(request);
      const end = await ended(request.spec.buildId);
      expect(end).toMatchObject({ status: 'succeeded', reason: '' });
      expect(end.phases.map((phase) => phase.name)).toEqual(['pre_build', 'build', 'post_build']);
      const result = v.parse(artifactResultSchema, JSON.parse(end.exported['SLUICE_RESULT'] ?? ''));
      expect(result).toMatchObject({ kind: 'bundle', reference: result.digest });
      expect(result.phases.map((phase) => phase.name)).toEqual(['fetch', 'command', 'archive', 'store']);
      expect(result.commit).toMatch(/^[0-9a-f]{40}$/);
    });

    it('ends a bad build as failed, with the reason and without a result', async () => {
      const request = given.bundle('echo broken; exit 3');
      await given.builder.start(request);
      const end = await ended(request.spec.buildId);
      expect(end).toMatchObject({ status: 'failed', reason: 'The build command failed: sh ended with 3' });
      expect(end.exported['SLUICE_RESULT']).toBeUndefined();
      expect((await logOf(request.spec.buildId)).map((line) => line.text)).toContain('broken');
    });

    it('leaves a build alone that was started before', async () => {
      const request = given.bundle('echo "run $$"');
      await Promise.all([given.builder.start(request), given.builder.start(request)]);
      await ended(request.spec.buildId);
      await given.builder.start(request);
      const lines = await logOf(request.spec.buildId);
      expect(lines.filter((line) => line.text.startsWith('run '))).toHaveLength(1);
      expect(await given.builder.observe(request.spec.buildId)).toMatchObject({ status: 'succeeded' });
    });

    it('shows lines with phase and time while the build runs', async () => {
      const request = given.bundle('echo "the first"; while [ ! -e ../../../go ]; do sleep 0.05; done');
      const before = Date.now() - 1000;
      await given.builder.start(request);
      const { buildId } = request.spec;
      await untilLogged(buildId, 'the first');
      expect(await given.builder.observe(buildId)).toEqual({ status: 'running', phase: 'build' });
      const page = await given.builder.logs(buildId);
      expect(page.done).toBe(false);
      const line = page.lines.find((candidate) => candidate.text === 'the first');
      expect(line?.phase).toBe('build');
      expect(line?.at).toBeGreaterThan(before);
      await given.builder.stop(buildId);
    });

    it('gives the log in pages, each line once and in order', async () => {
      const request = given.bundle('i=0; while [ $i -lt 250 ]; do echo "line $i"; i=$((i+1)); done');
      await given.builder.start(request);
      await ended(request.spec.buildId);
      const texts = (await logOf(request.spec.buildId, 7)).map((line) => line.text);
      expect(texts.filter((text) => text.startsWith('line '))).toEqual(
        Array.from({ length: 250 }, (_, i) => `line ${i}`),
      );
      expect(texts).toEqual((await logOf(request.spec.buildId)).map((line) => line.text));
    });

    it('stops a build with all that it started', async () => {
      const request = given.bundle('trap "" TERM; echo "running now"; while :; do sleep 0.05; done');
      await given.builder.start(request);
      await untilLogged(request.spec.buildId, 'running now');
      await given.builder.stop(request.spec.buildId);
      expect(await given.builder.observe(request.spec.buildId)).toMatchObject({
        status: 'stopped',
        reason: 'The build was stopped',
      });
      await given.builder.stop(request.spec.buildId);
      expect(
        (await given.builder.logs(request.spec.buildId)).done || (await logOf(request.spec.buildId)).length > 0,
      ).toBe(true);
    });

    it('ends a build that takes too long', async () => {
      const request = given.bundle('trap "" TERM; while :; do sleep 0.05; done', { timeoutSeconds: 1 });
      await given.builder.start(request);
      const end = await ended(request.spec.buildId);
      expect(end).toMatchObject({ status: 'timed_out', reason: 'The build took longer than its limit of 1 s' });
    });

    it('ends a check that passes with a result that says so, and names no artifact', async () => {
      const request = given.check('cat app.txt');
      await given.builder.start(request);
      const end = await ended(request.spec.buildId);
      expect(end).toMatchObject({ status: 'succeeded', reason: '' });
      const result = v.parse(checkResultSchema, JSON.parse(end.exported['SLUICE_RESULT'] ?? ''));
      expect(result.phases.map((phase) => phase.name)).toEqual(['fetch', 'check']);
      expect((await logOf(request.spec.buildId)).map((line) => line.text)).toContain('what is checked');
    });

    it('ends a check that does not pass as failed, with its last words and without a result', async () => {
      const request = given.check('echo "line 7 is too long"; exit 3');
      await given.builder.start(request);
      const end = await ended(request.spec.buildId);
      const reason = 'The check lint ended with 3: line 7 is too long';
      expect(end).toMatchObject({ status: 'failed', reason });
      expect(end.exported['SLUICE_RESULT']).toBeUndefined();
    });

    it('stops a check with all that it started, and ends one that takes too long', async () => {
      const forever = '(setsid sleep 600 &); trap "" TERM; echo "running now"; while :; do sleep 0.05; done';
      const stopped = given.check(forever);
      await given.builder.start(stopped);
      await untilLogged(stopped.spec.buildId, 'running now');
      await given.builder.stop(stopped.spec.buildId);
      expect(await given.builder.observe(stopped.spec.buildId)).toMatchObject({ status: 'stopped' });
      const late = given.check(forever, { timeoutSeconds: 1 });
      await given.builder.start(late);
      const reason = 'The build took longer than its limit of 1 s';
      expect(await ended(late.spec.buildId)).toMatchObject({ status: 'timed_out', reason });
    });

    it('knows nothing of a build never started', async () => {
      expect(await given.builder.observe('never-started')).toEqual({ status: 'unknown' });
      expect(await given.builder.logs('never-started')).toMatchObject({ lines: [], done: true });
      await given.builder.stop('never-started');
    });

    it('is ready', async () => {
      await expect(given.builder.ready()).resolves.toBeUndefined();
    });
  });
}
