import { request } from 'node:http';
import type { Health } from '../../functions/apps/schema.ts';

export type HealthWatch = {
  readonly port: number;
  readonly health: Health;
  readonly onHealthy: () => void;
  /** Called once, with why; the watch is over then. `answered`: it took the request, so it is there. */
  readonly onUnhealthy: (reason: string, answered: boolean) => void;
};
export type CheckFailure = { readonly what: string; readonly answered: boolean };

/** The pause between checks of a task that is still starting, so that a start is not slowed by a long interval. */
const startIntervalMs = 25;

/**
 * Checks a task over HTTP from its start until it is unhealthy or the returned function is called.
 *
 * `healthyThreshold` successes in a row make it healthy, `unhealthyThreshold` failures in a row unhealthy. Until it is
 * healthy and within `graceSeconds` failures do not count, and checks follow each other by `min(interval, 25 ms)`
 * (Docker's start period and start interval); later by `intervalSeconds`. Only a 2xx answer is a success: a redirect
 * (to a log-in page, to https) says nothing about the app.
 */
export function watchHealth({ port, health, onHealthy, onUnhealthy }: HealthWatch): () => void {
  const graceEnd = performance.now() + health.graceSeconds * 1000;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let healthy = false;
  let successes = 0;
  let failures = 0;
  const starting = () => !healthy && performance.now() < graceEnd;

  const record = (failure: CheckFailure | undefined) => {
    successes = failure === undefined ? successes + 1 : 0;
    failures = failure === undefined || starting() ? 0 : failures + 1;
    if (failure !== undefined && failures >= health.unhealthyThreshold) {
      stopped = true;
      return onUnhealthy(unhealthyReason(health, { healthy, failure: failure.what }), failure.answered);
    }
    if (healthy || successes < health.healthyThreshold) return;
    healthy = true;
    onHealthy();
  };
  const check = async () => {
    const failure = await checkHealth(port, health);
    if (stopped) return;
    record(failure);
    if (stopped) return;
    const intervalMs = health.intervalSeconds * 1000;
    timer = setTimeout(() => void check(), starting() ? Math.min(intervalMs, startIntervalMs) : intervalMs);
  };
  void check();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** One check; undefined when the task is well, else what was seen. Never throws. */
export function checkHealth(
  port: number,
  health: Pick<Health, 'path' | 'timeoutSeconds'>,
): Promise<CheckFailure | undefined> {
  return new Promise((resolve) => {
    const headers = { 'user-agent': 'sluice-health', connection: 'close' };
    const check = request({ host: '127.0.0.1', port, path: health.path, agent: false, headers });
    const timer = setTimeout(() => {
      resolve({ what: `no answer within ${health.timeoutSeconds} s`, answered: true });
      check.destroy();
    }, health.timeoutSeconds * 1000);
    check.once('response', (answer) => {
      const status = answer.statusCode ?? 0;
      resolve(status >= 200 && status < 300 ? undefined : { what: `it answered ${status}`, answered: true });
      answer.on('error', () => {}).resume();
    });
    check.on('error', (error: NodeJS.ErrnoException) => resolve({ what: connectionFailure(error), answered: false }));
    check.once('close', () => clearTimeout(timer));
    check.end();
  });
}

function connectionFailure(error: NodeJS.ErrnoException): string {
  if (error.code === 'ECONNREFUSED') return 'nothing listens on its port';
  return error.code === 'ECONNRESET' ? 'it closed the connection without an answer' : 'its answer is no HTTP';
}

function unhealthyReason(health: Health, seen: { healthy: boolean; failure: string }): string {
  const how = `GET ${health.path}: ${seen.failure}`;
  return seen.healthy ? `turned unhealthy (${how})` : `did not become healthy within ${health.graceSeconds} s (${how})`;
}
