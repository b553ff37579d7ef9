import { Hono, type Context } from 'hono';
import { mayRead } from '../access/principal.ts';
import { findAppNamed } from '../apps/outside-name.ts';
import { createUploadBuild } from '../builds/create.ts';
import { getAnyBuild, listBuilds, type AnyBuild } from '../builds/list.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { anyBuildPath, buildsQuery, newBuildBody } from './build-requests.ts';
import { buildShape, extendedBuildShape } from './build-shapes.ts';
import { buildView, checkView, refView } from './build-view.ts';
import { describe, named } from './describe.ts';
import { externalUrl } from './external-url.ts';
import { follow } from './follow.ts';
import { jsonBody, path, query } from './input.ts';
import { logView } from './log-view.ts';
import type { RouteDependencies } from './options.ts';
import { insufficient, permit } from './permit.ts';
import { getPermittedApp, resourceOf } from './permit-build.ts';
import { principalOf, type ApiEnv } from './request-context.ts';
import { logsQuery, noQuery } from './requests.ts';
import { logShape } from './shapes.ts';
import * as v from 'valibot';

export const build = named('Build', buildShape);

/** Attempts to make an artifact: begun, listed, shown, and followed. */
export function buildRoutes({ ports, waiting }: RouteDependencies): Hono<ApiEnv> {
  return new Hono<ApiEnv>()
    .post(
      '/api/v1/build',
      describe({
        id: 'createBuild',
        tag: 'builds',
        summary: 'Begin a build by upload',
        description:
          '`repo` is the environment it is for, `app-id` the app, by its id or its `appId`. An environment with a parent ' +
          'takes no builds. `Location` is where the build is.',
        answers: { 200: ['The build', build] },
        problems: ['not-found', 'forbidden', 'too-large'],
      }),
      query(noQuery),
      jsonBody(newBuildBody, 'build'),
      async (c) => {
        const made = await createBuild(c, ports, c.req.valid('json'));
        c.header('location', externalUrl(c, `/api/v1/build/${made.id}`));
        return c.json(buildView({ kind: 'upload', build: made }));
      },
    )
    .get(
      '/api/v1/build',
      describe({
        id: 'listBuilds',
        tag: 'builds',
        summary: 'List builds, newest first: those by upload, and those that deployments have made',
        description:
          'Without `state` those that are purged are left out. Where there are more, `x-next-cursor` has the next page’s ' +
          '`cursor`, and `Link` its address. A page may be short.',
        answers: { 200: ['A page of builds', named('BuildList', v.array(buildShape))] },
        problems: ['not-found', 'forbidden'],
      }),
      query(buildsQuery),
      async (c) => {
        const { items, next } = await listPermitted(c, ports, c.req.valid('query'));
        if (next !== undefined) {
          const more = new URL(externalUrl(c, '/api/v1/build'));
          for (const [name, values] of Object.entries(c.req.queries())) more.searchParams.set(name, values[0] ?? '');
          more.searchParams.set('cursor', next);
          c.header('x-next-cursor', next);
          c.header('link', `<${more.href}>; rel="next"`);
        }
        return c.json(items.map(buildView));
      },
    )
    .get(
      '/api/v1/build/:id',
      describe({
        id: 'getBuild',
        tag: 'builds',
        summary: 'Show a build',
        answers: { 200: ['The build', build] },
        problems: ['not-found', 'forbidden'],
      }),
      path(anyBuildPath),
      query(noQuery),
      async (c) => c.json(buildView(await getPermitted(c, ports, c.req.valid('param').id))),
    )
    .get(
      '/api/v1/build/:id/extended',
      describe({
        id: 'getExtendedBuild',
        tag: 'builds',
        summary: 'Show a build with its refs and its checks',
        answers: { 200: ['The build', named('ExtendedBuild', extendedBuildShape)] },
        problems: ['not-found', 'forbidden'],
      }),
      path(anyBuildPath),
      query(noQuery),
      async (c) => {
        const any = await getPermitted(c, ports, c.req.valid('param').id);
        const { refs, checks } = any.kind === 'upload' ? any.build : { refs: [], checks: [] };
        const shown = buildView(any);
        return c.json({
          build: shown,
          build_refs: refs.map((ref) => refView(shown.id, ref)),
          checks: checks.map((check) => checkView(shown.id, check)),
        });
      },
    )
    .get(
      '/api/v1/build/:id/logs',
      describe({
        id: 'followBuild',
        tag: 'builds',
        summary: 'Follow the output of a build, while it runs and afterwards',
        description:
          'Each line names the phase it comes from. `done` says that no line will follow. A build by upload is made ' +
          'elsewhere, so it has none: its jobs have.',
        answers: { 200: ['Lines after the cursor', named('Log', logShape)] },
        problems: ['not-found', 'forbidden'],
      }),
      path(anyBuildPath),
      query(logsQuery),
      async (c) => {
        const { after, wait } = c.req.valid('query');
        const { id } = c.req.valid('param');
        await getPermitted(c, ports, id);
        const read = async () => await readLog(ports, await getAnyBuild(ports.records, id), after);
        return c.json(logView(await follow(read, ({ lines, done }) => lines.length > 0 || done, waiting(c, wait))));
      },
    );
}

async function createBuild(c: Context<ApiEnv>, ports: ApiPorts, body: v.InferOutput<typeof newBuildBody>) {
  const { repo } = body;
  const appId = body['app-id'] ?? undefined;
  const app = appId === undefined ? undefined : await getPermittedApp(c, ports.records, { name: appId, repo });
  if (!app && !mayRead(principalOf(c), { app: '', repo }))
    throw insufficient('it allows some apps: name one by app-id');
  const { name, claims } = principalOf(c);
  return await createUploadBuild(ports, {
    repo,
    app,
    publicDownload: body['public-download'] ?? undefined,
    buildLogUrl: body['build-log-url'] ?? undefined,
    tokenName: name,
    tokenType: claims.tokenType,
  });
}

async function listPermitted(c: Context<ApiEnv>, ports: ApiPorts, asked: v.InferOutput<typeof buildsQuery>) {
  const { 'app-id': appId, repo, state, published, limit, cursor } = asked;
  // Of an app that is gone, or never was, by what it was called: what is not allowed is left out all the same.
  const app = appId === undefined ? undefined : ((await findAppNamed(ports.records, appId))?.id ?? appId);
  const principal = principalOf(c);
  return await listBuilds(ports.records, {
    app,
    limit,
    cursor,
    fits: (any) => {
      const shown = wordsOf(any);
      const isAsked = state === undefined ? shown.state !== 'purged' : shown.state === state;
      return (
        isAsked &&
        (published === undefined || shown.published === published) &&
        (repo === undefined || shown.repo === repo) &&
        mayRead(principal, resourceOf(any))
      );
    },
  });
}

const repoWords = ['uploading', 'committing', 'ready', 'failed', 'purging', 'purged', 'validating'] as const;
const publishedWords = ['unpublished', 'publishing', 'published', 'failed'] as const;

/** The states of a build in words, whichever kind it is of. */
function wordsOf(any: AnyBuild) {
  const { repo_state: state, published_state: published, repo } = buildView(any);
  return { state: repoWords[state], published: publishedWords[published], repo };
}

async function getPermitted(c: Context<ApiEnv>, ports: ApiPorts, id: string): Promise<AnyBuild> {
  const any = await getAnyBuild(ports.records, id);
  permit(c, resourceOf(any));
  return any;
}

/** A build that waits for its turn has no lines yet, and the builder does not know it: it is not done for all that. */
async function readLog(ports: Pick<ApiPorts, 'builder'>, any: AnyBuild, after: string | undefined) {
  if (any.kind === 'upload') return { lines: [], next: after ?? '0', done: true };
  const page = await ports.builder.logs(any.build.id, after === undefined ? {} : { after });
  return { ...page, done: page.done && any.build.state.status !== 'open' };
}
