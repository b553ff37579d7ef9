import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { gitIn, isZero, pushPayload, type RefChange, type Repository } from './push-payload.ts';

/** Where a push is told, and by what secret the delivery is signed. */
export type Webhook = {
  readonly url: string;
  readonly secret: string;
  /** Whether to try again when there is no answer. */
  readonly retries: boolean;
};

export type Told =
  | {
      readonly kind: 'told';
      readonly message: string;
      readonly deployments: readonly { readonly id: string; readonly app: string; readonly environment: string }[];
    }
  | { readonly kind: 'failed'; readonly reason: string };

const retryMs = [250, 1000];
const answerMs = 30_000;

/**
 * Tells the control plane of a change as GitHub would: a signed delivery to `/webhooks/github`, sent again when there is
 * no answer, always under the same id. What it was told of is kept in a ref of the repository, by which the next start
 * of the server finds what it was not told of. Never throws.
 */
export async function tellPush(
  webhook: Webhook,
  repository: Repository,
  what: { readonly change: RefChange; readonly pusher: string },
): Promise<Told> {
  try {
    const atSeconds = Math.floor(Date.now() / 1000);
    const payload = await pushPayload(repository, what.change, { pusher: what.pusher, atSeconds });
    if (!isZero(what.change.after) && payload['head_commit'] === null) {
      await markTold(repository, what.change);
      return { kind: 'told', message: 'It names no commit.', deployments: [] };
    }
    const told = await deliver(webhook, JSON.stringify(payload));
    if (told.kind === 'told') await markTold(repository, what.change);
    return told;
  } catch (error) {
    return { kind: 'failed', reason: reasonOf(error) };
  }
}

/** The ref that holds what the control plane was last told of a ref. */
export function toldRef(ref: string): string {
  return `refs/sluice/told/${ref.replace(/^refs\//, '')}`;
}

async function markTold(repository: Repository, { ref, after }: RefChange): Promise<void> {
  const args = isZero(after) ? ['-d', toldRef(ref)] : [toldRef(ref), after];
  // When it fails the push is told once more, which changes nothing.
  await gitIn(repository, ['update-ref', ...args]).catch(() => '');
}

async function deliver(webhook: Webhook, body: string): Promise<Told> {
  const delivery = {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'sluice-git-remote',
      'x-github-event': 'push',
      'x-github-delivery': randomUUID(),
      'x-hub-signature-256': `sha256=${createHmac('sha256', webhook.secret).update(body).digest('hex')}`,
    },
    body,
  };
  const url = `${webhook.url}/webhooks/github`;
  let told = await post(url, delivery);
  for (const ms of webhook.retries ? retryMs : []) {
    if (told.kind !== 'retry') break;
    await pause(ms);
    told = await post(url, delivery);
  }
  return told.kind === 'retry' ? { kind: 'failed', reason: told.reason } : told;
}

async function post(url: string, delivery: RequestInit): Promise<Told | { kind: 'retry'; reason: string }> {
  try {
    const response = await fetch(url, { ...delivery, signal: AbortSignal.timeout(answerMs) });
    const answer = (await response.json()) as {
      message?: string;
      deployments?: (Told & { kind: 'told' })['deployments'];
    };
    const { message = '', deployments = [] } = answer;
    if (response.ok) return { kind: 'told', message, deployments };
    const reason = `${response.status} ${message}`.trim();
    return { kind: response.status >= 500 ? 'retry' : 'failed', reason };
  } catch (error) {
    return { kind: 'retry', reason: reasonOf(error) };
  }
}

/** `fetch` says only that it failed; why is in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : error;
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}
