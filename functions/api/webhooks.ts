import { Hono } from 'hono';
import { deployPush } from '../deployments/push.ts';
import { Problem, problemKinds } from '../runtime/errors.ts';
import { receiveDelivery, type DeliveryAnswer } from '../webhook/receive.ts';
import { maxWebhookBytes, readBody } from './body.ts';
import { describe, named } from './describe.ts';
import type { ApiOptions } from './options.ts';
import type { ApiEnv } from './request-context.ts';
import { deliveryShape } from './shapes.ts';

/** Where GitHub tells of pushes; its signature stands for a token. */
export function webhookRoutes({ ports, credentials, metrics }: ApiOptions): Hono<ApiEnv> {
  const delivery = named('Delivery', deliveryShape);
  return new Hono<ApiEnv>().post(
    '/webhooks/github',
    describe({
      id: 'receiveDelivery',
      tag: 'webhooks',
      summary: 'Take a delivery of GitHub’s',
      description: 'Signed by the webhook secret (`X-Hub-Signature-256`). Delivered again, it makes nothing new.',
      answers: {
        202: ['Deployments were begun', delivery],
        200: ['Nothing matches it, or it was seen before', delivery],
      },
      problems: ['invalid', 'unauthorized', 'too-large', 'unsupported-media-type'],
      open: true,
    }),
    async (c) => {
      try {
        const { status, body } = await receiveDelivery(ports, {
          rawBody: await readBody(c, maxWebhookBytes),
          headers: c.req.raw.headers,
          secrets: (await credentials()).webhookSecrets,
          deployPush: (push) => deployPush(ports, push),
        });
        metrics.webhookDelivery(outcomeOf(status, body));
        return c.json(body, status);
      } catch (error) {
        const isRefused = error instanceof Problem && problemKinds[error.kind].status < 500;
        metrics.webhookDelivery(isRefused ? 'refused' : 'failed');
        throw error;
      }
    },
  );
}

function outcomeOf(status: DeliveryAnswer['status'], body: DeliveryAnswer['body']): string {
  if (status === 202) return 'accepted';
  return (body.deployments?.length ?? 0) > 0 ? 'repeated' : 'ignored';
}
