import { v7 } from 'uuid';
import { applyApp } from '../../functions/apps/registry.ts';
import type { AppInput } from '../../functions/apps/schema.ts';
import type { Deployment } from '../../functions/deployments/deployment.ts';
import { getDeployment } from '../../functions/deployments/store.ts';
import { wakeRollout } from '../../functions/deployments/wake.ts';
import { isEnd } from '../../functions/deployments/state.ts';
import { defaultLimits, defaultOidc } from '../../functions/ports/limits.ts';
import type { Ports } from '../../functions/ports/ports.ts';
import { silentLog } from '../../functions/runtime/log.ts';
import { runStep } from '../../functions/workflow/steps.ts';
import { localWorkflow, readDefinition } from '../../local/workflow.ts';
import { idleJobs } from './idle-jobs.ts';
import { openTestRecords } from './records.ts';
import { scriptedBuilder, type BuildScript } from './scripted-builder.ts';
import { scriptedFleet, type FleetScript } from './scripted-fleet.ts';

export const twoTargets: AppInput = {
  source: { repoUrl: 'https://github.com/acme/web' },
  build: { kind: 'bundle' },
  runtime: { command: ['node', 'server.mjs'] },
  environments: [
    {
      name: 'dev',
      branch: 'main',
      targets: [
        { name: 'one', wave: 0 },
        { name: 'two', wave: 1 },
      ],
    },
  ],
};

/**
 * The whole control plane on real records and the real workflows, over a fleet and a builder that do as they are told.
 * `more`: ports that a test brings itself.
 */
export async function scriptedCloud(clock: () => number = () => Date.now(), more: Partial<Ports> = {}) {
  const stores = await openTestRecords({ clock });
  const script: { fleet: FleetScript; build: BuildScript; beforeStep: (step: string) => void | Promise<void> } = {
    fleet: () => ({ ends: 'succeeded' }),
    build: () => 'succeeded',
    beforeStep: () => {},
  };
  const secrets = new Map<string, string>();
  const ended: string[] = [];
  const fleet = scriptedFleet({ script: () => script.fleet, onChange: (id) => void wakeRollout(ports, id) });
  const builder = scriptedBuilder({ script: () => script.build });
  const folder = new URL('../../functions/workflow/', import.meta.url);
  const definition = await readDefinition(new URL('deploy.asl.json', folder));
  const jobDefinition = await readDefinition(new URL('job.asl.json', folder));
  const running = {
    builder: builder.builder,
    log: silentLog,
    runStep: async (payload: Readonly<Record<string, unknown>> & { readonly step: string }) => {
      await script.beforeStep(payload.step);
      return await runStep(ports, payload);
    },
  };
  const newWorkflow = () => localWorkflow({ definition, ...running });
  const newJobs = () => localWorkflow({ definition: jobDefinition, inputOf: (jobId) => ({ jobId }), ...running });
  let workflow = newWorkflow();
  let jobs = newJobs();
  const ports: Ports = {
    records: stores.records,
    get workflow() {
      return workflow;
    },
    get jobs() {
      return jobs;
    },
    send: idleJobs.send,
    fleet: fleet.fleet,
    builder: builder.builder,
    objects: {} as Ports['objects'],
    secrets: {
      findVersion: async (name: string) => secrets.get(name),
      list: async (prefix: string) => [...secrets.keys()].filter((name) => name.startsWith(prefix)),
      remove: async (name: string) => void secrets.delete(name),
    } as Partial<Ports['secrets']> as Ports['secrets'],
    clock,
    newId: v7,
    log: silentLog,
    metrics: { deploymentEnded: ({ status }) => ended.push(status), buildEnded: () => {} },
    policy: {
      source: { allowFile: false, ownRemote: undefined },
      fetch: { allowPrivateHosts: false, maxBytes: 1e9 },
      limits: { ...defaultLimits, requestsPerMinute: 1_000_000 },
      oidc: defaultOidc,
    },
    ...more,
  };
  return {
    ports,
    script,
    fleet,
    builder,
    secrets,
    ended,
    apply: async (id: string, app: AppInput) => (await applyApp(ports, { id, input: app })).record,
    /** The deployment once it has ended and its lane is free of it. */
    settled: async (id: string) =>
      await until(
        async () => await getDeployment(ports.records, id),
        (d) => d.settled,
      ),
    reached: async (id: string, status: string) =>
      await until(
        async () => await getDeployment(ports.records, id),
        (d) => d.state.status === status || (isEnd(d.state) && d.state.status !== status),
      ),
    /** What kill -9 does: nothing of the running executions goes on, and none remembers anything. */
    loseWorkflow: async () => {
      void workflow.close();
      void jobs.close();
      workflow = newWorkflow();
      jobs = newJobs();
    },
    close: async () => {
      await Promise.all([workflow.close(), jobs.close()]);
      await stores.close();
    },
  };
}

/** Asks again until it is so, for at most 15 s. */
export async function until<T>(ask: () => Promise<T>, isSo: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const value = await ask();
    if (isSo(value)) return value;
    if (Date.now() > deadline) throw new Error(`It did not come to it: ${JSON.stringify(value).slice(0, 2000)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function statusesOf(deployment: Deployment): string[] {
  return deployment.timeline
    .map(({ kind }) => kind)
    .filter((kind) => kind !== 'target' && kind !== 'build' && kind !== 'cancel');
}
