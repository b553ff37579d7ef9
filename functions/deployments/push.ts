import { v5 } from 'uuid';
import type { AppRecord } from '../apps/registry.ts';
import type { Environment } from '../apps/schema.ts';
import type { CommitSha } from '../runtime/units.ts';
import { knownPush, type LanePush } from './lane.ts';
import { deploymentLane, findLane } from './lane-store.ts';
import { newDeployment } from './request.ts';
import { createDeployment, forgetDeployment } from './store.ts';
import { takeTurn, type TurnPorts } from './turn.ts';

/** Names every deployment of a delivery, the same however often the delivery comes. */
const deliveryNamespace = '0e4fd8a2-62a0-4b4c-9d2c-6a1f0a5b7d11';

export type Push = {
  /** The full ref: `refs/heads/main`. */
  readonly ref: string;
  readonly commit: CommitSha;
  readonly deliveryId: string;
  readonly pushedAtSeconds?: number;
  readonly pusher: string;
};

/**
 * Makes at most one deployment of a push for an environment, however often and however concurrently it is delivered:
 * the id follows from the delivery, and the lane knows the push that came last, so that the same commit under another
 * delivery id is the same push, and an older push that comes late starts nothing. A branch that went away from a
 * commit and came back to it is a new push.
 */
export async function deployPush(
  ports: TurnPorts,
  input: { readonly record: AppRecord; readonly environment: Environment; readonly push: Push },
): Promise<{ id: string; isNew: boolean }> {
  const { record, environment, push } = input;
  const lanePush: LanePush = {
    commit: push.commit,
    ...(push.pushedAtSeconds === undefined ? {} : { pushedAtSeconds: push.pushedAtSeconds }),
  };
  const read = await findLane(ports.records, deploymentLane(record.id, environment.name));
  const known = knownPush(read.lane, lanePush);
  if (known) return { id: known.by, isNew: false };

  const deployment = newDeployment({
    id: v5(`${push.deliveryId}/${record.id}/${environment.name}`, deliveryNamespace),
    at: ports.clock(),
    record,
    app: record.id,
    environment: environment.name,
    request: { kind: 'source', ref: push.ref, commit: push.commit },
    trigger: { kind: 'push', deliveryId: push.deliveryId, ref: push.ref, pusher: push.pusher },
  });
  if (!(await createDeployment(ports.records, deployment))) return { id: deployment.id, isNew: false };
  const entered = await takeTurn(ports, deployment, { push: lanePush, read });
  if (entered.outcome !== 'duplicate') return { id: deployment.id, isNew: true };
  // Two deliveries of one push raced and the other one was in the lane first: nobody was told of this one yet.
  await forgetDeployment(ports.records, deployment.id);
  return { id: entered.by, isNew: false };
}
