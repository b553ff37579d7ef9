import type { ReconcilePorts } from '../ports/ports.ts';
import { reconcileJobs } from '../builds/reconcile-jobs.ts';
import { messageOf } from '../runtime/errors.ts';
import type { EpochMs } from '../runtime/units.ts';
import { carryOut } from './cancel.ts';
import type { Deployment } from './deployment.ts';
import { finishRetirements } from './retire.ts';
import { isEnd } from './state.ts';
import { getDeployment, openDeployments } from './store.ts';
import { resume } from './turn.ts';

/** What one look at everything that is open has found. */
export type Reconciled = {
  /** Deployments that are not settled. */
  readonly open: number;
  /** How many of them were looked at; fewer than all where the time did not suffice. */
  readonly looked: number;
  /** Those that had lost their worker, and go on now. */
  readonly findings: number;
  /** How long the oldest of those that have not begun has waited; 0 when none waits. */
  readonly oldestQueuedSeconds: number;
};

/**
 * A workflow that has not seen for this long that its deployment is cancelled, or over, hangs: its longest wait for
 * news is a minute, and a build that was stopped ends within minutes.
 */
const hangsAfterMs = 15 * 60_000;
const atOnce = 10;

/**
 * Goes on with every deployment that is not settled, wherever it lost its worker, with every cancellation that nobody
 * has acted on, and with every app that was to go; harmless for those that are well.
 * At the start of a machine, and every minute after. `budgetMs`: how long it may take; what it has not looked at then is
 * first the next time.
 */
export async function reconcile(
  ports: ReconcilePorts,
  options: { readonly budgetMs?: number } = {},
): Promise<Reconciled> {
  const began = ports.clock();
  const isInTime = () => ports.clock() - began < (options.budgetMs ?? Infinity);
  const open = await listOpen(ports);
  const rest = await remaining(ports, open);
  let looked = 0;
  let findings = 0;
  for (; looked < rest.length && isInTime(); looked += atOnce) {
    const found = await Promise.all(
      rest.slice(looked, looked + atOnce).map(async ({ id }) => await resumeOne(ports, id)),
    );
    findings += found.filter(Boolean).length;
  }
  await rememberPlace(ports, rest[looked - 1]?.id, looked < rest.length);
  if (isInTime()) await finishRetirements(ports);
  findings += await reconcileJobs(ports, isInTime);
  const waiting = open.filter(({ state }) => state.status === 'queued').map(({ createdAt }) => createdAt);
  return {
    open: open.length,
    looked: Math.min(looked, rest.length),
    findings,
    oldestQueuedSeconds: waiting.length === 0 ? 0 : Math.max(0, (began - Math.min(...waiting)) / 1000),
  };
}

type Open = Pick<Deployment, 'id' | 'state' | 'createdAt'>;

async function listOpen({ records }: Pick<ReconcilePorts, 'records'>): Promise<readonly Open[]> {
  const found: Open[] = [];
  let after: string | undefined;
  do {
    const query = { partition: openDeployments, index: 'open', limit: 1000, ...(after ? { after } : {}) } as const;
    const page = await records.list<Deployment>(query);
    found.push(...page.items.map(({ value: { id, state, createdAt } }) => ({ id, state, createdAt })));
    after = page.next;
  } while (after);
  return found;
}

const placeKey = { partition: 'reconcile', sort: 'place' };

/** All of them, those first that the time did not suffice for when it was looked last. */
async function remaining(
  { records }: Pick<ReconcilePorts, 'records'>,
  open: readonly Open[],
): Promise<readonly Open[]> {
  const place = await records.find<{ readonly after: string }>(placeKey);
  const at = place ? open.findIndex(({ id }) => id === place.value.after) : -1;
  return [...open.slice(at + 1), ...open.slice(0, at + 1)];
}

async function rememberPlace(
  { records }: Pick<ReconcilePorts, 'records'>,
  after: string | undefined,
  hasMore: boolean,
): Promise<void> {
  const stored = await records.find(placeKey);
  if (!hasMore || after === undefined) return void (stored && (await records.remove(stored)));
  await (stored ? records.replace(stored, { after }) : records.create(placeKey, { after }));
}

/** Whether it had lost its worker. One that cannot go on must not keep the others from it. */
async function resumeOne(ports: ReconcilePorts, id: string): Promise<boolean> {
  try {
    // The index may be behind the record.
    const deployment = await carryOut(ports, await getDeployment(ports.records, id));
    if (deployment.settled) return false;
    const isRunning = await ports.workflow.isRunning(id);
    if (isRunning && !hangs(deployment, ports.clock())) return false;
    if (isRunning) await ports.workflow.stop(id, 'It did not see that its deployment is cancelled or over');
    await resume(ports, deployment);
    // One that waits for its turn has no worker yet.
    return deployment.state.status !== 'queued';
  } catch (error) {
    ports.log.error('deployment not resumed', { deploymentId: id, error: messageOf(error) });
    return true;
  }
}

/** One that is being undone may take an hour to drain, and is left alone. */
function hangs({ state, cancel }: Deployment, now: EpochMs): boolean {
  if (isEnd(state)) return now - state.endedAt > hangsAfterMs;
  return cancel !== undefined && state.status !== 'rolling_back' && now - cancel.at > hangsAfterMs;
}
