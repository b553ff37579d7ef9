import { describe, expect, it } from 'vitest';
import { silentLog } from '../../functions/runtime/log.ts';
import { prometheusMetrics, type Standing } from '../../functions/runtime/metrics.ts';
import { TimeLimitPassed, withinTime } from '../../functions/runtime/time-limit.ts';

const nothing: Standing = { deployments: [], tasks: [] };
const make = (standing: () => Promise<Standing> = async () => nothing) =>
  prometheusMetrics({ standing, log: silentLog });

describe('the Prometheus metrics', () => {
  it('count how deployments end, how long each of their states took, and their rollouts', async () => {
    const metrics = make();
    metrics.deploymentEnded({
      status: 'rolled_back',
      trigger: 'push',
      seconds: 42,
      phases: [
        { name: 'queued', seconds: 1 },
        { name: 'building', seconds: 41 },
      ],
      rollouts: ['succeeded', 'reverted'],
    });
    metrics.buildEnded({ kind: 'image', status: 'failed', seconds: 7 });
    const { text } = await metrics.scrape();
    for (const line of [
      'sluice_deployments_ended_total{status="rolled_back",trigger="push"} 1',
      'sluice_deployment_duration_seconds_sum{status="rolled_back"} 42',
      'sluice_deployment_phase_duration_seconds_sum{phase="building"} 41',
      'sluice_rollouts_total{status="reverted"} 1',
      'sluice_build_duration_seconds_count{kind="image",status="failed"} 1',
    ]) {
      expect(text).toContain(line);
    }
  });

  it('tell of the process: its memory and how late its event loop is', async () => {
    const { text } = await make().scrape();
    expect(text).toMatch(/^sluice_process_resident_memory_bytes \d+/m);
    expect(text).toMatch(/^sluice_nodejs_eventloop_lag_seconds /m);
  });

  it('begin every name alike, as Prometheus wants names', async () => {
    const { text } = await make().scrape();
    const names = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
    expect(names.filter((name) => !/^sluice_[a-z0-9_]+$/.test(name ?? ''))).toEqual([]);
    expect(names.length).toBeGreaterThan(10);
  });

  it('escape what stands in a label', async () => {
    const metrics = make();
    metrics.webhookDelivery('a"b\\c\nd');
    expect((await metrics.scrape()).text).toContain(String.raw`outcome="a\"b\\c\nd"`);
  });

  it('forget a target that is gone', async () => {
    const task = { app: 'web', environment: 'dev', target: 'web', state: 'serving', count: 2 };
    let now: Standing = { deployments: [{ status: 'queued', count: 3 }], tasks: [task] };
    const metrics = make(async () => now);
    expect((await metrics.scrape()).text).toContain('sluice_deployments_open{status="queued"} 3');
    now = nothing;
    const { text } = await metrics.scrape();
    expect(text).not.toMatch(/^sluice_(tasks|deployments_open)\{/m);
  });

  it('tell the rest when what stands cannot be found out', async () => {
    const metrics = make(() => Promise.reject(new Error('no fleet')));
    metrics.webhookDelivery('accepted');
    const { text } = await metrics.scrape();
    expect(text).toContain('sluice_webhook_deliveries_total{outcome="accepted"} 1');
    expect(text).toContain('sluice_standing_up 0');
  });

  it('of two servers in one process do not mix', async () => {
    const [one, two] = [make(), make()];
    one.webhookDelivery('accepted');
    expect((await two.scrape()).text).not.toContain('outcome="accepted"');
  });
});

describe('a time limit', () => {
  it('gives what comes in time, and throws for what does not', async () => {
    expect(await withinTime(10_000, Promise.resolve('here'))).toBe('here');
    await expect(withinTime(10_000, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await expect(withinTime(10, new Promise(() => {}))).rejects.toThrow(TimeLimitPassed);
  });
});
