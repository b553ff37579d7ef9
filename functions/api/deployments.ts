import { Hono } from 'hono';
import type { Resource } from '../access/principal.ts';
import { findApp, getApp } from '../apps/registry.ts';
import { cancelDeployment } from '../deployments/cancel.ts';
import type { Deployment, DeploymentRequest } from '../deployments/deployment.ts';
import { getDeployment, listDeployments } from '../deployments/read.ts';
import { requestDeployment } from '../deployments/request.ts';
import { deploymentRow, deploymentView } from '../deployments/view.ts';
import type { Records } from '../ports/records.ts';
import { commitShaPattern } from '../runtime/units.ts';
import { describe, named } from './describe.ts';
import { eventsAfter } from './events.ts';
import { follow } from './follow.ts';
import { jsonBody, path, query } from './input.ts';
import type { RouteDependencies } from './options.ts';
import { mayRead, permit } from './permit.ts';
import { actorOf, principalOf, type ApiEnv } from './request-context.ts';
import { deploymentBody, deploymentsQuery, eventsQuery, idPath, noQuery, type DeploymentBody } from './requests.ts';
import { deploymentListShape, deploymentShape, eventsShape } from './shapes.ts';

export const deployment = named('Deployment', deploymentShape);
const waits =
  'With `wait` the answer comes as soon as there is something after the cursor, or empty when the time is up.';

/** Attempts to bring an artifact to an environment. */
export function deploymentRoutes({ ports, waiting }: RouteDependencies): Hono<ApiEnv> {
  return new Hono<ApiEnv>()
    .post(
      '/api/v1/deployments',
      describe({
        id: 'deploy',
        tag: 'deployments',
        summary: 'Deploy a source, an image, an artifact, or an archive from a URL',
        description:
          'It waits for its turn in the lane of its app and environment; `Location` says where to follow it.',
        answers: { 202: ['The deployment', deployment] },
        problems: ['not-found', 'conflict', 'too-large', 'unsupported-media-type'],
      }),
      query(noQuery),
      jsonBody(deploymentBody, 'deployment'),
      async (c) => {
        const body = c.req.valid('json');
        const { app: id, environment } = body;
        const appId = (await findApp(ports.records, id))?.app.appId;
        permit(c, { app: id, appId, environment });
        const request = await requestOf(ports.records, body);
        if (request.kind === 'source') permit(c, { branch: branchOf(request.ref) });
        const made = await requestDeployment(ports, {
          app: id,
          environment,
          request,
          trigger: { kind: 'api', actor: actorOf(c) },
        });
        return c.json(deploymentView(made), 202, { location: `/api/v1/deployments/${made.id}` });
      },
    )
    .get(
      '/api/v1/deployments',
      describe({
        id: 'listDeployments',
        tag: 'deployments',
        summary: 'List deployments, newest first',
        description: 'Those that the token allows; a page may be short, and the last one is that whose `next` is null.',
        answers: { 200: ['A page of deployments', named('DeploymentList', deploymentListShape)] },
      }),
      query(deploymentsQuery),
      async (c) => {
        const principal = principalOf(c);
        const page = await listDeployments(ports.records, c.req.valid('query'), (deployment) =>
          mayRead(principal, resourceOf(deployment)),
        );
        return c.json({ items: page.items.map(deploymentRow), next: page.next });
      },
    )
    .get(
      '/api/v1/deployments/:id',
      describe({
        id: 'getDeployment',
        tag: 'deployments',
        summary: 'Show a deployment with its targets and its timeline',
        answers: { 200: ['The deployment', deployment] },
        problems: ['not-found'],
      }),
      path(idPath),
      query(noQuery),
      async (c) => {
        const found = await getDeployment(ports.records, c.req.valid('param').id);
        permit(c, resourceOf(found));
        return c.json(deploymentView(found));
      },
    )
    .get(
      '/api/v1/deployments/:id/events',
      describe({
        id: 'followDeployment',
        tag: 'deployments',
        summary: 'Follow the timeline of a deployment',
        description: waits,
        answers: { 200: ['What happened after the cursor', named('Events', eventsShape)] },
        problems: ['not-found'],
      }),
      path(idPath),
      query(eventsQuery),
      async (c) => {
        const { after = 0, wait } = c.req.valid('query');
        const read = async () => {
          const found = await getDeployment(ports.records, c.req.valid('param').id);
          permit(c, resourceOf(found));
          return eventsAfter(found, after);
        };
        return c.json(await follow(read, ({ items, done }) => items.length > 0 || done, waiting(c, wait)));
      },
    )
    .post(
      '/api/v1/deployments/:id/cancel',
      describe({
        id: 'cancelDeployment',
        tag: 'deployments',
        summary: 'Cancel a deployment: what was started is stopped, what was changed is undone',
        answers: { 202: ['The deployment', deployment] },
        problems: ['not-found', 'conflict'],
      }),
      path(idPath),
      query(noQuery),
      async (c) => {
        const { id } = c.req.valid('param');
        permit(c, resourceOf(await getDeployment(ports.records, id)));
        return c.json(deploymentView(await cancelDeployment(ports, { id, actor: actorOf(c) })), 202);
      },
    );
}

function resourceOf({ app, environment, settings: { appId } }: Deployment): Resource {
  return { app, appId, environment };
}

/** What a ref names, as far as a token that is bound to branches cares; a commit is of no branch that it can tell. */
function branchOf(ref: string): string {
  return ref.replace(/^refs\/heads\//, '');
}

/** What is asked for, in the domain's words; the schema has made sure that there is one thing. */
async function requestOf(records: Records, body: DeploymentBody): Promise<DeploymentRequest> {
  if (body.image !== undefined) return { kind: 'image', reference: body.image };
  if (body.artifact !== undefined) return { kind: 'artifact', digest: body.artifact };
  if (body.fetch !== undefined) return { kind: 'fetch', ...body.fetch };
  const ref = body.source?.ref ?? (await getApp(records, body.app)).app.source?.ref ?? 'main';
  return { kind: 'source', ref, ...(commitShaPattern.test(ref) ? { commit: ref } : {}) };
}
