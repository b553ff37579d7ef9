import type { DeploymentView, EventsView } from '../../functions/api/shapes.ts';
import { longestWaitSeconds, path, type Client, type Query } from '../client.ts';
import type { World } from '../world.ts';
import { createBuildLog, type BuildLog } from './build-log.ts';
import type { Reporter, TimelineEvent } from './reporter.ts';

export type Watch = {
  readonly client: Client;
  readonly world: World;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  /** How often the counts are read between events, in seconds; undefined: they are not shown, so they are not read. */
  readonly countsEverySeconds: number | undefined;
};

/** A GET that stays patient while the server is away, and says so. */
export type Read = <T>(path: string, query?: Query) => Promise<T>;

/**
 * Reports what happens to a deployment until it has ended, and answers with how it ended.
 * Rejects when the signal is aborted, and with `NotReachable` when the server stays away for two minutes.
 */
export async function watchDeployment(id: string, watch: Watch): Promise<DeploymentView> {
  const over = new AbortController();
  const signal = AbortSignal.any([watch.signal, over.signal]);
  const read = patientReader({ ...watch, signal });
  const log = createBuildLog({ read, reporter: watch.reporter, signal, pause: watch.world.pause });
  const look = async () => {
    const view = await read<DeploymentView>(path`/api/v1/deployments/${id}`);
    watch.reporter.view(view);
    return view;
  };
  try {
    const first = await look();
    const following: Following = { read, look, log, watch: { ...watch, signal }, first };
    return await Promise.race([lookRegularly(following), followEvents(id, following)]);
  } finally {
    over.abort();
  }
}

type Following = {
  readonly read: Read;
  readonly look: () => Promise<DeploymentView>;
  readonly log: BuildLog;
  readonly watch: Watch;
  readonly first: DeploymentView;
};

async function followEvents(id: string, { read, look, log, watch, first }: Following): Promise<DeploymentView> {
  // The log of a build that was over before we came is history: `sluice logs` shows it.
  const fromTheStart = !pastBuilding(first.status);
  let view = first;
  let after: string | undefined;
  for (;;) {
    const page = await read<EventsView>(path`/api/v1/deployments/${id}/events`, { after, wait: longestWaitSeconds });
    if (page.items.length > 0) view = await look();
    for (const event of page.items) {
      if (pastBuilding(event.kind)) await log.settled(secondsForTheLog);
      watch.reporter.event(event);
      // Also for a build that was too quick to be seen as `building`.
      if (event.kind === 'building' && view.build && fromTheStart) log.start(view.build.id);
    }
    if (page.done) return await lookUntilEnded(look, watch);
    after = page.next;
  }
}

/** The events say that it has ended; the deployment itself may be answered from a copy that is a moment behind. */
async function lookUntilEnded(look: Following['look'], { world, signal }: Watch): Promise<DeploymentView> {
  for (let tries = 1; ; tries++) {
    const view = await look();
    if (view.endedAt !== null || tries === 10) return view;
    await world.pause(500, signal);
  }
}

const secondsForTheLog = 5;

const laterKinds = [
  'rolling',
  'verifying',
  'rolling_back',
  'succeeded',
  'rolled_back',
  'failed',
  'cancelled',
  'superseded',
];

/** Whether a status, or an event of its kind, comes after the build; the build's lines belong before it. */
function pastBuilding(kind: TimelineEvent['kind']): boolean {
  return laterKinds.includes(kind);
}

/** Never resolves: it ends with the signal, and its failures are those of following too. */
async function lookRegularly({ look, log, watch, first }: Following): Promise<never> {
  let view = first;
  for (;;) {
    // Without counts to show, the only thing to look for is the build whose log is to be streamed.
    const waitingForBuild = view.status === 'queued' || view.status === 'building';
    if (watch.countsEverySeconds === undefined && !waitingForBuild) return await new Promise<never>(() => {});
    await watch.world.pause((watch.countsEverySeconds ?? buildLookSeconds) * 1000, watch.signal);
    view = await look();
    if (view.status === 'building' && view.build) log.start(view.build.id);
  }
}

const buildLookSeconds = 2;

/** The connection counts as lost as long as any request waits for another try. */
function patientReader({ client, reporter, signal }: Watch): Read {
  let unanswered = 0;
  return async (path, query) => {
    let lost = false;
    const onRetry = () => {
      if (!lost && unanswered++ === 0) reporter.lost();
      lost = true;
    };
    const answer = await client.get<never>(path, { ...(query ? { query } : {}), signal, patienceSeconds, onRetry });
    // An answer that was on its way when following ended must not be reported after the end.
    signal.throwIfAborted();
    if (lost && --unanswered === 0) reporter.found();
    return answer;
  };
}

/** Long enough for a control plane that is restarted or updated meanwhile. */
const patienceSeconds = 120;
