import { Hono, type Context } from 'hono';
import { makeDeployKey } from '../apps/deploy-key.ts';
import { permitRules } from '../access/ci-grant.ts';
import { findApp, getApp, listApps, type AppRecord } from '../apps/registry.ts';
import { appSchema, type App } from '../apps/schema.ts';
import { listSecrets, removeSecret, writeSecret } from '../apps/secrets.ts';
import { changeApp, retireApp } from '../deployments/retire.ts';
import { messageOf } from '../runtime/errors.ts';
import { TimeLimitPassed, withinTime } from '../runtime/time-limit.ts';
import { isoTime } from '../runtime/units.ts';
import { describe, named } from './describe.ts';
import { jsonBody, path, query } from './input.ts';
import type { RouteDependencies } from './options.ts';
import { mayRead, permit } from './permit.ts';
import { actorOf, principalOf, type ApiEnv } from './request-context.ts';
import { appPath, noQuery, pageQuery, removeQuery, secretBody, secretPath } from './requests.ts';
import { appExample } from './examples.ts';
import { appListShape, appShape, deployKeyShape, secretNamesShape, type AppView } from './shapes.ts';

const app = named('App', appShape);
const appInput = named('AppInput', appSchema, [appExample]);
const unknownApp = ['not-found'] as const;
/** Draining may take an hour; a client waits so long and is then told that it goes on. */
const retireAnswerMs = 20_000;

/** What may be deployed, with its secrets and its deploy key. */
export function appRoutes({ ports, randomBytes }: RouteDependencies): Hono<ApiEnv> {
  return new Hono<ApiEnv>()
    .get(
      '/api/v1/apps',
      describe({
        id: 'listApps',
        tag: 'apps',
        summary: 'List the apps, by name',
        description: 'Those that the token allows; a page may be short, and the last one is that whose `next` is null.',
        answers: { 200: ['A page of apps', named('AppList', appListShape)] },
      }),
      query(pageQuery),
      async (c) => {
        const { limit = 50, cursor } = c.req.valid('query');
        const page = await listApps(ports.records, { limit, ...(cursor ? { cursor } : {}) });
        const principal = principalOf(c);
        const items = page.items.filter(({ id, app: { appId } }) => mayRead(principal, { app: id, appId }));
        return c.json({ items: items.map(appView), next: page.next });
      },
    )
    .get(
      '/api/v1/apps/:app',
      describe({
        id: 'getApp',
        tag: 'apps',
        summary: 'Show an app',
        answers: { 200: ['The app', app] },
        problems: unknownApp,
      }),
      path(appPath),
      query(noQuery),
      async (c) => c.json(appView(await getApp(ports.records, c.req.valid('param').app))),
    )
    .put(
      '/api/v1/apps/:app',
      describe({
        id: 'applyApp',
        tag: 'apps',
        summary: 'Register an app, or change it',
        description:
          'The whole app: what is left out gets its default. Deployments that exist keep the app they began with. A target ' +
          'that is named no more must run nothing; with `force=true` it is drained and stopped.',
        answers: { 200: ['The app that was there, as it is now', app], 201: ['The new app', app] },
        problems: ['conflict', 'too-large', 'unsupported-media-type'],
      }),
      path(appPath),
      query(removeQuery),
      jsonBody(appInput, 'app'),
      async (c) => {
        const { app: id } = c.req.valid('param');
        const force = c.req.valid('query').force === 'true';
        const input = c.req.valid('json');
        permitChange(c, { id, app: input, before: (await findApp(ports.records, id))?.app });
        const change = { id, input, force, actor: actorOf(c) };
        const { record, created } = await changeApp(ports, change);
        return c.json(appView(record), created ? 201 : 200);
      },
    )
    .delete(
      '/api/v1/apps/:app',
      describe({
        id: 'deleteApp',
        tag: 'apps',
        summary: 'Delete an app with its secrets; refused while something of it runs, unless forced',
        description: 'With `force=true` what is deployed is cancelled, and what runs is drained and stopped.',
        answers: { 204: 'It is gone.', 202: 'Its tasks are still draining; it goes when they are done.' },
        problems: ['not-found', 'conflict'],
      }),
      path(appPath),
      query(removeQuery),
      async (c) => {
        const force = c.req.valid('query').force === 'true';
        const gone = retireApp(ports, { ...c.req.valid('param'), force, actor: actorOf(c) });
        try {
          return c.body(null, (await withinTime(retireAnswerMs, gone)) === 'gone' ? 204 : 202);
        } catch (error) {
          if (!(error instanceof TimeLimitPassed)) throw error;
          gone.catch((error: unknown) =>
            c.get('log').error('an app could not be deleted', { reason: messageOf(error) }),
          );
          return c.body(null, 202);
        }
      },
    )
    .post(
      '/api/v1/apps/:app/deploy-key',
      describe({
        id: 'makeDeployKey',
        tag: 'apps',
        summary: 'Make a new deploy key',
        description: 'The private half is kept among the secrets and never comes out. It replaces the key from before.',
        answers: { 201: ['The public half', named('DeployKey', deployKeyShape)] },
        problems: unknownApp,
      }),
      path(appPath),
      query(noQuery),
      async (c) => c.json(await makeDeployKey({ ...ports, randomBytes }, c.req.valid('param').app), 201),
    )
    .get(
      '/api/v1/apps/:app/secrets',
      describe({
        id: 'listSecrets',
        tag: 'apps',
        summary: 'List the names of an app’s secrets',
        answers: { 200: ['The names', named('SecretNames', secretNamesShape)] },
        problems: unknownApp,
      }),
      path(appPath),
      query(noQuery),
      async (c) => {
        const names = await listSecrets(ports, c.req.valid('param').app);
        return c.json({ items: names.map((name) => ({ name })) });
      },
    )
    .put(
      '/api/v1/apps/:app/secrets/:name',
      describe({
        id: 'writeSecret',
        tag: 'apps',
        summary: 'Write a secret; deployments from now on take it',
        description: 'A value goes in and never comes out.',
        answers: { 204: 'It is written.' },
        problems: ['not-found', 'too-large', 'unsupported-media-type'],
      }),
      path(secretPath),
      query(noQuery),
      jsonBody(secretBody, 'secret'),
      async (c) => {
        await writeSecret(ports, { ...c.req.valid('param'), ...c.req.valid('json') });
        return c.body(null, 204);
      },
    )
    .delete(
      '/api/v1/apps/:app/secrets/:name',
      describe({
        id: 'deleteSecret',
        tag: 'apps',
        summary: 'Delete a secret with all its versions',
        answers: { 204: 'It is gone, or was not there.' },
        problems: unknownApp,
      }),
      path(secretPath),
      query(noQuery),
      async (c) => {
        await removeSecret(ports, c.req.valid('param'));
        return c.body(null, 204);
      },
    );
}

/** An app's file can give away what an app's name and its rules for CI open: only what the token has itself. */
function permitChange(
  c: Context<ApiEnv>,
  { id, app, before }: { readonly id: string; readonly app: App; readonly before: App | undefined },
): void {
  if (app.appId !== undefined && app.appId !== before?.appId) permit(c, { appId: app.appId });
  permitRules(principalOf(c), { id, ci: app.ci }, before?.ci);
}

function appView({ id, app, createdAt, updatedAt }: AppRecord): AppView {
  return { id, ...app, createdAt: isoTime(createdAt), updatedAt: isoTime(updatedAt) };
}
