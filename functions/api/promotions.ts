import { Hono } from 'hono';
import { getApp } from '../apps/registry.ts';
import { readPointer } from '../artifacts/pointer.ts';
import { requestPromotion } from '../builds/promote.ts';
import { environmentOf } from '../deployments/request.ts';
import { promoteBody } from './build-requests.ts';
import { pointerShape } from './build-shapes.ts';
import { pointerView } from './build-view.ts';
import { describe, named } from './describe.ts';
import { externalUrl } from './external-url.ts';
import { optionalJsonBody, path, query } from './input.ts';
import { answerJob, job } from './job-answer.ts';
import type { RouteDependencies } from './options.ts';
import { actorOf, type ApiEnv } from './request-context.ts';
import { environmentPath, noQuery } from './requests.ts';

/** What environments have published, and the way from a parent to its children. */
export function promotionRoutes({ ports }: RouteDependencies): Hono<ApiEnv> {
  return new Hono<ApiEnv>()
    .post(
      '/api/v1/apps/:app/environments/:environment/promote',
      describe({
        id: 'promote',
        tag: 'environments',
        summary: 'Bring the artifact that an environment’s parent has run to it',
        description: 'The very same artifact, without a build. `artifact` names another one that the parent has run.',
        answers: { 202: ['The job, whose results name the deployment', job] },
        problems: ['not-found', 'forbidden', 'conflict', 'too-large', 'unsupported-media-type'],
      }),
      path(environmentPath),
      query(noQuery),
      optionalJsonBody(promoteBody, 'promotion'),
      async (c) => {
        const { artifact } = c.req.valid('json');
        const seed = `promotion/${ports.newId()}`;
        const begun = await requestPromotion(ports, { ...c.req.valid('param'), actor: actorOf(c), artifact, seed });
        c.header('location', externalUrl(c, `/api/v1/job/${begun.id}`));
        return c.json(await answerJob(ports, begun, 0), 202);
      },
    )
    .get(
      '/api/v1/apps/:app/environments/:environment/published',
      describe({
        id: 'getPublished',
        tag: 'environments',
        summary: 'Show what was published in an environment, newest first',
        answers: { 200: ['What was published', named('Published', pointerShape)] },
        problems: ['not-found', 'forbidden'],
      }),
      path(environmentPath),
      query(noQuery),
      async (c) => {
        const { app, environment } = c.req.valid('param');
        environmentOf(await getApp(ports.records, app), environment);
        return c.json(pointerView(app, environment, await readPointer(ports.records, { app, environment })));
      },
    );
}
