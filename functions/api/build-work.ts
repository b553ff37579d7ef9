import { Hono, type Context } from 'hono';
import { commitJobOf, requestCommit } from '../builds/commit.ts';
import { getJob } from '../builds/job-store.ts';
import { publishJobOf, requestPublish } from '../builds/publish.ts';
import { purgeBuild } from '../builds/purge.ts';
import type { UploadBuild } from '../builds/upload-build.ts';
import { Problem } from '../runtime/errors.ts';
import { build } from './builds.ts';
import { buildPath, checkPath, commitBody, emptyBody, jobBody } from './build-requests.ts';
import { buildView } from './build-view.ts';
import { describe } from './describe.ts';
import { externalUrl } from './external-url.ts';
import { optionalJsonBody, path, query } from './input.ts';
import { answerJob, job } from './job-answer.ts';
import type { RouteDependencies } from './options.ts';
import { callerOf, getPermittedUpload } from './permit-build.ts';
import { getOrQuery, queryBody } from './query-method.ts';
import { actorOf, type ApiEnv } from './request-context.ts';
import { noQuery } from './requests.ts';

const problems = ['not-found', 'forbidden', 'too-large', 'wrong-repo-state'] as const;

/** What is done with a build that was filled: committed, published, purged; and the jobs that do it. */
export function buildWorkRoutes({ ports }: RouteDependencies): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>()
    .post(
      '/api/v1/build/:id/commit',
      describe({
        id: 'commitBuild',
        tag: 'builds',
        summary: 'Commit a build: verify everything it stands for, and make its artifact',
        description:
          'What is missing or wrong is told in the job’s log, and the build is open again. With `"drop-strays": true` ' +
          'objects that belong to none of the refs are left out. Checks follow.',
        answers: { 200: ['The job', job] },
        problems,
      }),
      path(buildPath),
      query(noQuery),
      optionalJsonBody(commitBody, 'commit'),
      async (c) => {
        const { id } = c.req.valid('param');
        const body = c.req.valid('json');
        await getPermittedUpload(c, ports.records, id);
        const endOfLife = {
          ...(body.endoflife ? { reason: body.endoflife } : {}),
          ...(body.endoflife_rebase ? { rebase: body.endoflife_rebase } : {}),
          ...(body.token_type === null || body.token_type === undefined ? {} : { tokenType: body.token_type }),
        };
        const dropStrays = body['drop-strays'] ?? false;
        const begun = await requestCommit(ports, { build: id, actor: actorOf(c), dropStrays, endOfLife });
        c.header('location', externalUrl(c, `/api/v1/build/${id}/commit`));
        return c.json(await answerJob(ports, begun, 0));
      },
    )
    .post(
      '/api/v1/build/:id/publish',
      describe({
        id: 'publishBuild',
        tag: 'builds',
        summary: 'Publish a build: move its environment’s pointer, and deploy it',
        description: 'Asked again by the same token it is the same job. Its results name the deployment to follow.',
        answers: { 200: ['The job', job] },
        problems: [...problems, 'wrong-published-state'],
      }),
      path(buildPath),
      query(noQuery),
      optionalJsonBody(emptyBody, 'publication'),
      async (c) => {
        const { id } = c.req.valid('param');
        await getPermittedUpload(c, ports.records, id);
        const begun = await requestPublish(ports, { build: id, actor: actorOf(c), caller: callerOf(c) });
        c.header('location', externalUrl(c, `/api/v1/build/${id}/publish`));
        return c.json(await answerJob(ports, begun, 0));
      },
    )
    .post(
      '/api/v1/build/:id/purge',
      describe({
        id: 'purgeBuild',
        tag: 'builds',
        summary: 'Forget what was put into a build; what it has published stays',
        answers: { 200: ['The build', build] },
        problems: ['not-found', 'forbidden', 'too-large'],
      }),
      path(buildPath),
      query(noQuery),
      optionalJsonBody(emptyBody, 'purge'),
      async (c) => {
        const { id } = c.req.valid('param');
        await getPermittedUpload(c, ports.records, id);
        const purged = await purgeBuild(ports, id);
        c.header('location', externalUrl(c, `/api/v1/build/${id}`));
        return c.json(buildView({ kind: 'upload', build: purged }));
      },
    );
  const followed = (what: string, id: string) =>
    describe({
      id,
      tag: 'builds',
      summary: `Follow the job that ${what}`,
      description: 'A JSON body `{"log-offset": n}` leaves out the first characters of its log.',
      answers: { 200: ['The job', job] },
      problems: ['not-found', 'forbidden', 'too-large'],
    });
  const offset = queryBody(jobBody, 'job');
  app.on(
    getOrQuery,
    '/api/v1/build/:id/commit',
    followed('commits a build', 'followCommit'),
    path(buildPath),
    query(noQuery),
    offset,
    async (c) => {
      const { id } = c.req.valid('param');
      return c.json(await jobOf(c, { id, of: commitJobOf, offset: c.req.valid('json')['log-offset'] }));
    },
  );
  app.on(
    getOrQuery,
    '/api/v1/build/:id/publish',
    followed('publishes a build', 'followPublish'),
    path(buildPath),
    query(noQuery),
    offset,
    async (c) => {
      const { id } = c.req.valid('param');
      return c.json(await jobOf(c, { id, of: publishJobOf, offset: c.req.valid('json')['log-offset'] }));
    },
  );
  app.on(
    getOrQuery,
    '/api/v1/build/:id/check/:name/job',
    followed('checks a build', 'followCheck'),
    path(checkPath),
    query(noQuery),
    offset,
    async (c) => {
      const { id, name } = c.req.valid('param');
      const of = ({ checks }: UploadBuild) => {
        const found = checks.find((check) => check.name === name);
        if (!found) throw new Problem('not-found', `The build ${id} has no check ${name}`);
        return found.jobId;
      };
      return c.json(await jobOf(c, { id, of, offset: c.req.valid('json')['log-offset'] }));
    },
  );
  return app;

  type Wanted = {
    readonly id: number;
    readonly of: (build: UploadBuild) => number;
    readonly offset: number | null | undefined;
  };
  async function jobOf(c: Context<ApiEnv>, { id, of, offset }: Wanted) {
    const found = await getPermittedUpload(c, ports.records, id);
    return await answerJob(ports, await getJob(ports.records, of(found)), offset ?? 0);
  }
}
