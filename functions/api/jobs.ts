import { Hono } from 'hono';
import { reviewCheck } from '../builds/check.ts';
import { retryHook } from '../builds/hook.ts';
import { deadHooks, getJob } from '../builds/job-store.ts';
import type { Job } from '../builds/job.ts';
import { requestPrune } from '../builds/prune.ts';
import { requestRepublish } from '../builds/republish.ts';
import type { CheckStatus } from '../builds/upload-build.ts';
import { findApp } from '../apps/registry.ts';
import type * as v from 'valibot';
import { jobBody, jobPath, pruneBody, republishBody, repoPath, reviewBody } from './build-requests.ts';
import { deadHooksShape } from './build-shapes.ts';
import { describe, named } from './describe.ts';
import { externalUrl } from './external-url.ts';
import { jsonBody, path, query } from './input.ts';
import { answerJob, job } from './job-answer.ts';
import type { RouteDependencies } from './options.ts';
import { permit } from './permit.ts';
import { getPermittedApp, mayReadJob, permitJob } from './permit-build.ts';
import { getOrQuery, queryBody } from './query-method.ts';
import { actorOf, type ApiEnv } from './request-context.ts';
import { noQuery, pageQuery } from './requests.ts';

const problems = ['not-found', 'forbidden', 'too-large'] as const;
/** Younger objects are left alone by default: whoever sent them may not have said yet what they are for. */
const defaultKeepHours = 24;

/** Work that goes on after its call was answered, and what begins some of it. */
export function jobRoutes({ ports }: RouteDependencies): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>()
    .post(
      '/api/v1/job/:id/check/review',
      describe({
        id: 'reviewCheck',
        tag: 'builds',
        summary: 'Say how a check is to count',
        answers: { 204: 'It counts so.' },
        problems,
      }),
      path(jobPath),
      query(noQuery),
      jsonBody(reviewBody, 'review'),
      async (c) => {
        const { id } = c.req.valid('param');
        const body = c.req.valid('json');
        await permitJob(c, ports.records, await getJob(ports.records, id));
        const outcome = outcomeOf(body['new-status']);
        await reviewCheck(ports, { job: id, outcome, results: body['new-results'] ?? undefined });
        return c.body(null, 204);
      },
    )
    .post(
      '/api/v1/job/:id/retry',
      describe({
        id: 'retryHook',
        tag: 'builds',
        summary: 'Call a hook that was given up once more, from the beginning',
        answers: { 200: ['The job', job] },
        problems,
      }),
      path(jobPath),
      query(noQuery),
      async (c) => {
        const { id } = c.req.valid('param');
        await permitJob(c, ports.records, await getJob(ports.records, id));
        return c.json(await answerJob(ports, await retryHook(ports, id), 0));
      },
    )
    .get(
      '/api/v1/hooks/dead',
      describe({
        id: 'listDeadHooks',
        tag: 'builds',
        summary: 'List the calls of hooks that were given up, newest first',
        answers: { 200: ['A page of jobs', named('DeadHooks', deadHooksShape)] },
        problems: ['forbidden'],
      }),
      query(pageQuery),
      async (c) => {
        const { limit = 50, cursor } = c.req.valid('query');
        const where = { partition: deadHooks, index: 'lookup', order: 'descending', limit } as const;
        const page = await ports.records.list<Job>({ ...where, ...(cursor ? { after: cursor } : {}) });
        const items = await Promise.all(
          page.items.map(async ({ value }) =>
            (await mayReadJob(c, ports.records, value)) ? [await answerJob(ports, value, 0)] : [],
          ),
        );
        return c.json({ items: items.flat(), next: page.next ?? null });
      },
    )
    .post(
      '/api/v1/repo/:repo/republish',
      describe({
        id: 'republish',
        tag: 'builds',
        summary: 'Deploy what an environment has published there once more',
        answers: { 200: ['The job', job] },
        problems,
      }),
      path(repoPath),
      query(noQuery),
      jsonBody(republishBody, 'publication'),
      async (c) => {
        const { repo } = c.req.valid('param');
        const named = await getPermittedApp(c, ports.records, { name: c.req.valid('json').app, repo });
        const begun = await requestRepublish(ports, { app: named.id, environment: repo, actor: actorOf(c) });
        c.header('location', externalUrl(c, `/api/v1/job/${begun.id}`));
        return c.json(await answerJob(ports, begun, 0));
      },
    )
    .post(
      '/api/v1/prune',
      describe({
        id: 'prune',
        tag: 'builds',
        summary: 'Free what nothing names any more',
        description:
          'Kept is what targets run, what environments have run and published, what is being deployed, and what builds ' +
          'hold that are not published or purged. Objects are shared by all apps, so all of them are looked at; with ' +
          '`app` only that one’s artifacts are forgotten. What is younger than `keep-hours` (24) stays. The job says ' +
          'before and after what it frees; with `dry-run` it only says so.',
        answers: { 200: ['The job', job] },
        problems,
      }),
      query(noQuery),
      jsonBody(pruneBody, 'pruning'),
      async (c) => {
        const {
          app: id,
          repo,
          'dry-run': dryRun = false,
          'keep-hours': keepHours = defaultKeepHours,
        } = c.req.valid('json');
        const appId = id === undefined ? undefined : (await findApp(ports.records, id))?.app.appId;
        permit(c, { app: id ?? '', appId, repo: '' });
        const prune = { dryRun, keepHours, ...(id === undefined ? {} : { app: id }) };
        const begun = await requestPrune(ports, { prune, repo: repo ?? null, actor: actorOf(c) });
        c.header('location', externalUrl(c, `/api/v1/job/${begun.id}`));
        return c.json(await answerJob(ports, begun, 0));
      },
    );
  app.on(
    getOrQuery,
    '/api/v1/job/:id',
    describe({
      id: 'getJob',
      tag: 'builds',
      summary: 'Follow a job',
      description: 'A JSON body `{"log-offset": n}` leaves out the first characters of its log.',
      answers: { 200: ['The job', job] },
      problems,
    }),
    path(jobPath),
    query(noQuery),
    queryBody(jobBody, 'job'),
    async (c) => {
      const found = await getJob(ports.records, c.req.valid('param').id);
      await permitJob(c, ports.records, found);
      return c.json(await answerJob(ports, found, c.req.valid('json')['log-offset'] ?? 0));
    },
  );
  return app;
}

function outcomeOf({ status, reason }: v.InferOutput<typeof reviewBody>['new-status']): CheckStatus {
  const because = reason ?? '';
  switch (status) {
    case 'Pending':
      return { status: 'pending' };
    case 'Passed':
      return { status: 'passed' };
    case 'PassedWithWarnings':
      return { status: 'passed-with-warnings', reason: because };
    case 'Failed':
      return { status: 'failed', reason: because };
    case 'ReviewRequired':
      return { status: 'review-required', reason: because };
  }
}
