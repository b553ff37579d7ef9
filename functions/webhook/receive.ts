import { findAppsByRepository, type AppRecord } from '../apps/registry.ts';
import type { Environment } from '../apps/schema.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { readPayload, type Delivery } from './delivery.ts';
import { matchPush, type Match } from './match.ts';
import { parsePush, type PushEvent } from './push.ts';

/** Makes at most one deployment of a push for an environment, durable when it resolves; `isNew` is false when it was there. */
export type DeployPush = (input: {
  readonly record: AppRecord;
  readonly environment: Environment;
  readonly push: {
    readonly ref: string;
    readonly commit: string;
    readonly deliveryId: string;
    readonly pushedAtSeconds?: number;
    readonly pusher: string;
  };
}) => Promise<{ readonly id: string; readonly isNew: boolean }>;

export type DeliveryAnswer = {
  /** 202 when a deployment was begun. */
  readonly status: 200 | 202;
  readonly body: {
    /** Why nothing was begun. */
    readonly message?: string;
    readonly deployments?: readonly { readonly id: string; readonly app: string; readonly environment: string }[];
  };
};

/**
 * Takes a delivery of GitHub's: verified, parsed, and its deployments made durable before it is answered.
 * Throws `Problem('unauthorized')` for a wrong signature, `Problem('invalid')` for what GitHub does not send,
 * `Problem('too-large')` past 25 MB. Delivered again, also after a failure in the middle, it completes what is missing.
 */
export async function receiveDelivery(
  ports: Pick<ApiPorts, 'records'>,
  delivery: Delivery & { readonly deployPush: DeployPush },
): Promise<DeliveryAnswer> {
  const { event, deliveryId, payload } = readPayload(delivery);
  switch (event) {
    case 'ping':
      return { status: 200, body: { message: 'pong' } };
    case 'push':
      return await receivePush(ports, { push: parsePush(payload()), deliveryId, deployPush: delivery.deployPush });
    default:
      return { status: 200, body: { message: `The event ${event} is ignored: only pushes are deployed.` } };
  }
}

async function receivePush(
  ports: Pick<ApiPorts, 'records'>,
  received: { readonly push: PushEvent; readonly deliveryId: string; readonly deployPush: DeployPush },
): Promise<DeliveryAnswer> {
  const { push, deliveryId, deployPush } = received;
  const { commit } = push;
  if (push.kind === undefined) return nothing(`${push.ref} is neither a branch nor a tag.`);
  if (commit === undefined) return nothing(`The ${push.kind} ${push.name} was deleted.`);
  const apps = await findApps(ports, push);
  const matches = matchPush(push, apps);
  if (matches.length === 0) return nothing(whyNothing(push, apps));
  const made = await all(
    matches.map(async ({ record, environment }) => {
      const { ref, pusher, pushedAtSeconds } = push;
      const what = { ref, commit, deliveryId, pusher, ...(pushedAtSeconds === undefined ? {} : { pushedAtSeconds }) };
      return await deployPush({ record, environment, push: what });
    }),
  );
  return answer(matches, made);
}

function answer(matches: readonly Match[], made: readonly { id: string; isNew: boolean }[]): DeliveryAnswer {
  const deployments = matches.map(({ record, environment }, at) => ({
    id: made[at]?.id ?? '',
    app: record.id,
    environment: environment.name,
  }));
  if (made.some(({ isNew }) => isNew)) return { status: 202, body: { deployments } };
  return { status: 200, body: { message: 'This push was seen before.', deployments } };
}

/** Every app whose source is the repository, by whichever of its names, once. */
async function findApps(ports: Pick<ApiPorts, 'records'>, push: PushEvent): Promise<readonly AppRecord[]> {
  const found = await all(push.repositories.map((identity) => findAppsByRepository(ports.records, identity)));
  return [...new Map(found.flat().map((record) => [record.id, record])).values()];
}

function nothing(message: string): DeliveryAnswer {
  return { status: 200, body: { message, deployments: [] } };
}

function whyNothing({ kind, name, repositories }: PushEvent, apps: readonly AppRecord[]): string {
  if (apps.length === 0) return `No app has its source in ${repositories[0]}.`;
  return `No environment of ${apps.map(({ id }) => id).join(', ')} follows the ${kind} ${name}.`;
}

/** Lets all come to an end before the first failure is thrown: none goes on after the answer. */
async function all<T>(promises: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}
