import { Hono } from 'hono';
import { getApp } from '../apps/registry.ts';
import { getEnvironment } from '../deployments/read.ts';
import { environmentOf } from '../deployments/request.ts';
import { rollbackEnvironment } from '../deployments/rollback.ts';
import { scaleTarget } from '../deployments/scale.ts';
import { targetRefs } from '../deployments/target-refs.ts';
import { deploymentView } from '../deployments/view.ts';
import type { TargetRef } from '../ports/fleet.ts';
import type { Records } from '../ports/records.ts';
import { Problem } from '../runtime/errors.ts';
import { deployment } from './deployments.ts';
import { describe, named } from './describe.ts';
import { follow } from './follow.ts';
import { jsonBody, optionalJsonBody, path, query } from './input.ts';
import { logView } from './log-view.ts';
import type { RouteDependencies } from './options.ts';
import { actorOf, type ApiEnv } from './request-context.ts';
import { environmentPath, noQuery, rollbackBody, scaleBody, targetLogsQuery } from './requests.ts';
import { environmentShape, logShape, scaledShape } from './shapes.ts';

/** The places an app runs: what runs there, going back, scaling, and what the tasks say. */
export function environmentRoutes({ ports, waiting }: RouteDependencies): Hono<ApiEnv> {
  return new Hono<ApiEnv>()
    .get(
      '/api/v1/apps/:app/environments/:environment',
      describe({
        id: 'getEnvironment',
        tag: 'environments',
        summary: 'Show what runs in an environment now, and its lane',
        answers: { 200: ['The environment', named('Environment', environmentShape)] },
        problems: ['not-found'],
      }),
      path(environmentPath),
      query(noQuery),
      async (c) => c.json(await getEnvironment(ports, c.req.valid('param'))),
    )
    .post(
      '/api/v1/apps/:app/environments/:environment/rollback',
      describe({
        id: 'rollback',
        tag: 'environments',
        summary: 'Deploy the last good revision again, without a build',
        description:
          'Artifact, variables and secrets’ versions together. What is being deployed there is cancelled first.',
        answers: { 202: ['The deployment that goes back', deployment] },
        problems: ['not-found', 'conflict', 'too-large', 'unsupported-media-type'],
      }),
      path(environmentPath),
      query(noQuery),
      optionalJsonBody(rollbackBody, 'rollback'),
      async (c) => {
        const { to } = c.req.valid('json');
        const asked = { ...c.req.valid('param'), actor: actorOf(c), ...(to === undefined ? {} : { to }) };
        const made = await rollbackEnvironment(ports, asked);
        return c.json(deploymentView(made), 202, { location: `/api/v1/deployments/${made.id}` });
      },
    )
    .put(
      '/api/v1/apps/:app/environments/:environment/scale',
      describe({
        id: 'scale',
        tag: 'environments',
        summary: 'Set how many tasks a target keeps',
        description: 'New tasks must be healthy before they serve; old ones drain before they stop.',
        answers: { 202: ['What the target is on its way to', named('Scaled', scaledShape)] },
        problems: ['not-found', 'conflict', 'too-large', 'unsupported-media-type'],
      }),
      path(environmentPath),
      query(noQuery),
      jsonBody(scaleBody, 'scale'),
      async (c) => {
        const wanted = { ...c.req.valid('param'), ...c.req.valid('json') };
        await scaleTarget(ports, { ...wanted, actor: actorOf(c) });
        return c.json(wanted, 202);
      },
    )
    .get(
      '/api/v1/apps/:app/environments/:environment/logs',
      describe({
        id: 'followTarget',
        tag: 'environments',
        summary: 'Follow what the tasks of a target write',
        description: 'Each line’s `phase` is the task it comes from. It goes on for as long as the target is there.',
        answers: { 200: ['Lines after the cursor', named('Log', logShape)] },
        problems: ['not-found'],
      }),
      path(environmentPath),
      query(targetLogsQuery),
      async (c) => {
        const { target, after, wait } = c.req.valid('query');
        const ref = await targetOf(ports.records, { ...c.req.valid('param'), target });
        const read = () => ports.fleet.logs(ref, after === undefined ? {} : { after });
        const page = await follow(read, ({ lines }) => lines.length > 0, waiting(c, wait));
        return c.json(logView({ ...page, done: false }));
      },
    );
}

type TargetPlace = { readonly app: string; readonly environment: string; readonly target: string };

async function targetOf(records: Records, place: TargetPlace): Promise<TargetRef> {
  const environment = environmentOf(await getApp(records, place.app), place.environment);
  const refs = targetRefs(place.app, environment);
  const found = refs.find(({ target }) => target.name === place.target);
  if (found) return found;
  const names = refs.map(({ target }) => target.name).join(', ');
  throw new Problem('not-found', `The environment ${environment.name} has no target ${place.target}; it has: ${names}`);
}
