import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { v7 } from 'uuid';
import { authenticator } from '../functions/access/authenticate.ts';
import { createApi } from '../functions/api/app.ts';
import { reconcile } from '../functions/deployments/reconcile.ts';
import { standing } from '../functions/deployments/standing.ts';
import { wakeRollout } from '../functions/deployments/wake.ts';
import type { Ports } from '../functions/ports/ports.ts';
import { messageOf } from '../functions/runtime/errors.ts';
import { fetchJson } from '../functions/runtime/fetch-json.ts';
import type { Log } from '../functions/runtime/log.ts';
import { prometheusMetrics } from '../functions/runtime/metrics.ts';
import { sender } from '../functions/runtime/send.ts';
import { runStep } from '../functions/workflow/steps.ts';
import { buildAgent } from '../scripts/build-agent.ts';
import { toolEnvironment } from './build-environment.ts';
import { localBuilder } from './builder.ts';
import type { Config } from './config.ts';
import { keptCredential } from './credentials.ts';
import { dataIdOf } from './data-id.ts';
import { writeDurably } from './durable.ts';
import { findEngine } from './engine.ts';
import { localFleet } from './fleet/fleet.ts';
import { gitRemote } from './git-remote.ts';
import { remoteAddress, startHttpServer } from './http-server.ts';
import { isTransfer, objectRoutes } from './object-routes.ts';
import { folderObjects } from './objects.ts';
import { openRecords } from './records.ts';
import { folderSecrets } from './secrets.ts';
import { localWorkflow, readDefinition } from './workflow.ts';

const version = '0.1.0';
const reconcileEveryMs = 15_000;
const requestGraceMs = 5000;
/** The largest archive that is fetched, and the largest object that is put. */
const maxArtifactBytes = 4 * 1024 ** 3;
const buildspecs = fileURLToPath(new URL('../buildspecs', import.meta.url));
const definitionFile = new URL('../functions/workflow/deploy.asl.json', import.meta.url);
const jobDefinitionFile = new URL('../functions/workflow/job.asl.json', import.meta.url);

export type LocalServer = {
  readonly url: string;
  /** `docker`, `podman` or `process`: what apps run in. */
  readonly engine: string;
  /** Drains and stops everything; what was going on goes on with the next start on the same data. */
  close(): Promise<void>;
};

export type ServerOptions = {
  readonly config: Config;
  readonly log: Log;
  /** The environment of this process, for the tools that are called: PATH, HOME, LANG, DOCKER_HOST. */
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/** Wires the six ports of this machine, goes on with what was going on, and serves. */
export async function startServer({ config, log, environment }: ServerOptions): Promise<LocalServer> {
  const data = config.dataFolder;
  await mkdir(data, { recursive: true, mode: 0o700 });
  // First of all, as it refuses a folder that another server has open: nothing of that one may be touched.
  const stores = await openRecords({ folder: join(data, 'records') });
  const adminToken = config.adminToken ?? (await keptCredential(data, 'admin-token', log));
  const webhookSecret = config.webhookSecret ?? (await keptCredential(data, 'webhook-secret', log));
  const engine = await findEngine(config.engine, environment);
  const agentFile = join(data, 'agent.mjs');
  await buildAgent(agentFile);
  const serverFile = join(data, 'server.json');
  await rm(`${serverFile}.new`, { force: true });
  const signingKey = randomBytes(32).toString('hex');
  const clock = Date.now;
  let url = '';

  const secrets = folderSecrets({ folder: join(data, 'secrets'), newId: v7 });
  const objects = await folderObjects({ folder: join(data, 'objects'), baseUrl: () => url, signingKey, clock });
  const dataId = await dataIdOf(data);
  const ownRemote = () => `${url}/git/`;
  const builder = localBuilder({
    data,
    dataFolderId: dataId,
    agentFile,
    buildspecs,
    engine: async () => engine,
    environment: toolEnvironment(environment),
    ownRemote: () => ({ url: ownRemote(), folder: join(data, 'git') }),
    clock,
    log,
    ...(config.buildConcurrency ? { concurrency: config.buildConcurrency } : {}),
  });
  const fleet = localFleet({
    data,
    dataId,
    engine,
    engineEnvironment: environment,
    taskEnvironment: taskEnvironment(environment),
    objects,
    secrets,
    clock,
    newId: v7,
    log,
    onChange: (rolloutId) =>
      void wakeRollout(ports, rolloutId).catch((error: unknown) =>
        log.error('rollout not woken', { rolloutId, error: messageOf(error) }),
      ),
    ...(config.ingressPort === undefined ? {} : { ingressPort: config.ingressPort }),
  });
  const workflow = localWorkflow({
    definition: await readDefinition(definitionFile),
    runStep: async (payload) => await runStep(ports, payload),
    builder,
    log,
  });
  const jobs = localWorkflow({
    definition: await readDefinition(jobDefinitionFile),
    inputOf: (jobId) => ({ jobId }),
    runStep: async (payload) => await runStep(ports, payload),
    builder,
    log,
  });
  const metrics = prometheusMetrics({ standing: async () => await standing(ports), log });
  const ports: Ports = {
    records: stores.records,
    objects,
    secrets,
    builder,
    fleet,
    workflow,
    jobs,
    send: sender({ allowPrivateHosts: config.fetchAllowPrivate }),
    clock,
    newId: v7,
    log,
    metrics,
    policy: {
      source: {
        allowFile: true,
        get ownRemote() {
          return ownRemote();
        },
      },
      fetch: { allowPrivateHosts: config.fetchAllowPrivate, maxBytes: maxArtifactBytes },
      limits: config.limits,
      oidc: config.oidc,
    },
  };

  const closing = new AbortController();
  const recovered = Promise.withResolvers<void>();
  const api = createApi({
    ports,
    credentials: async () => ({ adminTokens: [adminToken], webhookSecrets: [webhookSecret] }),
    version,
    metrics,
    scrape: metrics.scrape,
    fetchJson,
    addressOf: (c) => remoteAddress(c.env),
    ownUrl: () => url,
    randomBytes: (count) => randomBytes(count),
    closing: closing.signal,
    routes: [objectRoutes(objects, { signingKey, clock, maxBytes: maxArtifactBytes })],
  });
  const remote = gitRemote({
    data,
    authenticate: authenticator({ ...ports, adminTokens: async () => [adminToken] }),
    webhookSecret,
    records: stores.records,
    log,
    clock,
    newId: v7,
    url: () => url,
    environment,
  });
  const http = await startHttpServer({
    host: config.host,
    port: config.port,
    log,
    isTransfer,
    // The port is known from here on, but nothing is answered before what a run before left behind is dealt with.
    fetch: async (request, env) => {
      await recovered.promise;
      return await api.fetch(request, env);
    },
    first: (request, response) => {
      if (!request.url?.startsWith('/git/')) return false;
      void recovered.promise.then(async () => await remote.handle(request, response));
      return true;
    },
  });
  url = http.url;
  await builder.recover();
  await fleet.recover();
  await reconcile(ports);
  recovered.resolve();
  await remote.recover();
  const reconciling = every(reconcileEveryMs, async () => void (await reconcile(ports)), log);
  await writeDurably(serverFile, `${JSON.stringify({ url, pid: process.pid })}\n`, {
    mode: 0o600,
    temporary: `${serverFile}.new`,
  });

  return {
    url,
    engine: engine?.kind ?? 'process',
    async close() {
      reconciling.stop();
      closing.abort();
      await http.close(requestGraceMs);
      await Promise.all([workflow.close(), jobs.close()]);
      await Promise.all([builder.close(), fleet.close()]);
      await stores.close();
      await rm(serverFile, { force: true });
    },
  };
}

/** What a task that is a process gets of this process's environment. */
function taskEnvironment(environment: ServerOptions['environment']): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'TZ'];
  return Object.fromEntries(
    names.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  );
}

/** Does something again and again, never twice at once. */
function every(ms: number, work: () => Promise<void>, log: Log): { stop(): void } {
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    void work()
      .catch((error: unknown) => log.error('reconcile failed', { error: messageOf(error) }))
      .finally(() => (isBusy = false));
  }, ms);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
