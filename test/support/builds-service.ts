import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Hono } from 'hono';
import { createApi } from '../../functions/api/app.ts';
import type { ApiEnv } from '../../functions/api/request-context.ts';
import { findApp } from '../../functions/apps/registry.ts';
import type { AppInput } from '../../functions/apps/schema.ts';
import { acceptObjects } from '../../functions/builds/accept.ts';
import { requestCommit } from '../../functions/builds/commit.ts';
import { createUploadBuild } from '../../functions/builds/create.ts';
import { getJob, openJobs } from '../../functions/builds/job-store.ts';
import type { Job } from '../../functions/builds/job.ts';
import { requestPublish } from '../../functions/builds/publish.ts';
import { putRef } from '../../functions/builds/refs.ts';
import { getUpload } from '../../functions/builds/upload-store.ts';
import { listDeployments } from '../../functions/deployments/read.ts';
import { reconcile } from '../../functions/deployments/reconcile.ts';
import type { Objects } from '../../functions/ports/objects.ts';
import type { OutgoingRequest, Ports } from '../../functions/ports/ports.ts';
import { defaultLimits, defaultOidc } from '../../functions/ports/limits.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { prometheusMetrics } from '../../functions/runtime/metrics.ts';
import { standing } from '../../functions/deployments/standing.ts';
import { committed, digestOf, type Committed } from './committed.ts';
import { mortal } from './mortal.ts';
import { openTestObjects } from './objects.ts';
import { openTestRecords } from './records.ts';
import { scriptedCloud, until } from './scripted-cloud.ts';

export const adminToken = 'the-token-of-these-tests';

/** An app with three environments, each the parent of the next one. */
export const chain: AppInput = {
  appId: 'org.acme.Web',
  runtime: { command: ['node', 'server.mjs'] },
  environments: [
    { name: 'dev', targets: [{ name: 'one' }] },
    { name: 'beta', parent: 'dev', promotion: 'automatic', targets: [{ name: 'one' }] },
    { name: 'stable', parent: 'beta', promotion: 'automatic', targets: [{ name: 'one' }] },
  ],
};

export const alone: AppInput = {
  runtime: { command: ['node', 'server.mjs'] },
  environments: [
    { name: 'dev', targets: [{ name: 'one' }] },
    { name: 'test', targets: [{ name: 'one' }] },
  ],
};

export type NamedBytes = { readonly name: string; readonly bytes: Uint8Array };

/**
 * The builds service on real records, real objects and the real workflows. Time goes on as it does, and further by
 * `pass`; each of its processes may be killed.
 */
export async function buildsService(limits: Partial<Ports['policy']['limits']> = {}) {
  let ahead = 0;
  const clock = () => Date.now() + ahead;
  const death = mortal();
  const store = await openTestObjects({ clock });
  const stores = await openTestRecords({ clock });
  const calls: OutgoingRequest[] = [];
  const secretValues = new Map<string, string>();
  const script: {
    send: (request: OutgoingRequest) => number | Promise<number>;
    /** Called before each call of the store; what it throws, the call throws. */
    beforeObject: (operation: keyof Objects, argument: unknown) => void | Promise<void>;
  } = { send: () => 200, beforeObject: () => {} };
  const objects = death.wrap(
    scriptedObjects(store.objects, (operation, argument) => script.beforeObject(operation, argument)),
    ['put', 'receive', 'finishUpload', 'abandonUpload', 'remove'],
  );
  const cloud = await scriptedCloud(clock, {
    records: death.wrap(stores.records, ['create', 'replace', 'remove']),
    objects,
    secrets: {
      findVersion: async (name: string) => (secretValues.has(name) ? '1' : undefined),
      read: async (name: string) => {
        const value = secretValues.get(name);
        if (value === undefined) throw new Problem('not-found', `There is no secret ${name}`);
        return { value, version: '1' };
      },
      list: async () => [],
      remove: async () => {},
    } as Partial<Ports['secrets']> as Ports['secrets'],
    send: async (request) => {
      calls.push(request);
      return { status: await script.send(request) };
    },
    policy: {
      source: { allowFile: false, ownRemote: undefined },
      fetch: { allowPrivateHosts: false, maxBytes: 1e9 },
      limits: { ...defaultLimits, requestsPerMinute: 1_000_000, ...limits },
      oidc: defaultOidc,
    },
  });
  const { ports } = cloud;
  const api = apiOf(ports);

  async function create(app: string | undefined, repo = 'dev'): Promise<number> {
    const record = app === undefined ? undefined : await findApp(ports.records, app);
    return (await createUploadBuild(ports, { app: record, repo, tokenName: 'ann' })).id;
  }
  async function upload(build: number, objects: readonly NamedBytes[]): Promise<readonly number[]> {
    return await acceptObjects(ports, build, sent(objects));
  }
  async function commit(build: number, dropStrays = false): Promise<Job> {
    return await ended((await requestCommit(ports, { build, actor: 'ann', dropStrays })).id);
  }
  async function publish(build: number, caller = 'ann'): Promise<Job> {
    return await ended((await requestPublish(ports, { build, actor: caller, caller })).id);
  }
  async function ended(job: number): Promise<Job> {
    return await until(
      async () => await getJob(ports.records, job),
      ({ settled }) => settled,
    );
  }
  /** All deployments have come to their end, and no job is open. */
  async function calm(): Promise<void> {
    await until(
      async () => {
        cloud.builder.release();
        cloud.fleet.release();
        await reconcile(ports);
        const deployments = (await listDeployments(ports.records, { limit: 200 })).items;
        const jobs = await stores.records.list<Job>({ partition: openJobs, index: 'open' });
        return [...deployments.filter(({ settled }) => !settled), ...jobs.items];
      },
      (open) => open.length === 0,
    );
  }

  return {
    ...cloud,
    /** Both scripts: of the cloud, and of what is outside. */
    script: Object.assign(cloud.script, script),
    outside: script,
    api,
    death,
    store,
    stores,
    calls,
    secretValues,
    clock,
    pass: (ms: number) => void (ahead += ms),
    create,
    upload,
    commit,
    publish,
    ended,
    calm,
    ref: async (build: number, commit: string, more: { ref?: string; kind?: 'image' | 'bundle' | 'ostree' } = {}) =>
      (
        await putRef(ports, build, {
          ref: more.ref ?? 'app/web/x86_64/main',
          commit,
          ...(more.kind ? { kind: more.kind } : {}),
        })
      ).build,
    build: async (id: number) => await getUpload(ports.records, id),
    deployments: async (environment: string, app = 'web') =>
      (await listDeployments(ports.records, { app, environment, limit: 200 })).items,
    /** A build of one bundle that is committed. */
    async committedBundle(text: string, { app = 'web', repo = 'dev' } = {}): Promise<number> {
      const made = bundle(text);
      const id = await create(app, repo);
      await upload(id, [made]);
      await putRef(ports, id, { ref: `app/${app}/x86_64/main`, commit: made.hex });
      await commit(id);
      return id;
    },
    /** Every object that is stored now. */
    async blobs(): Promise<ReadonlySet<string>> {
      const digests: string[] = [];
      let after: string | undefined;
      do {
        const page = await store.objects.list(after ? { after } : {});
        digests.push(...page.items.map(({ digest }) => digest));
        after = page.next;
      } while (after);
      return new Set(digests);
    },
    close: async () => {
      await cloud.close();
      await stores.close();
      await store.close();
    },
  };
}

export type BuildsService = Awaited<ReturnType<typeof buildsService>>;

export async function* sent(objects: readonly NamedBytes[]) {
  for (const { name, bytes } of objects) yield { filename: name, body: chunked(bytes) };
}

/** As bytes come over a network: not in one piece. */
export async function* chunked(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

export function blob(text: string | Uint8Array): NamedBytes & { readonly hex: string } {
  const bytes = Buffer.from(text);
  const hex = digestOf(bytes).slice('sha256:'.length);
  return { name: `${hex}.blob`, bytes, hex };
}

/** What passes for a bundle: whatever is packed by gzip. */
export function bundle(text: string) {
  return blob(gzipSync(text, { level: 1 }));
}

/** Blobs of an image in the making, as objects that can be sent. */
export function image() {
  const made = committed();
  return { made, objects: () => objectsOf(made) };
}

export function objectsOf(made: Committed): readonly NamedBytes[] {
  return [...made.entries].map(([name, { digest }]) => ({ name, bytes: made.blobs.get(digest) ?? Buffer.alloc(0) }));
}

/** What something is refused with; fails where it is not refused. */
export async function refusal(work: Promise<unknown>): Promise<Problem> {
  const error = await work.then(
    () => new Error('It was not refused'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof Problem) return error;
  throw error;
}

function scriptedObjects(
  objects: Objects,
  before: (operation: keyof Objects, argument: unknown) => void | Promise<void>,
): Objects {
  return new Proxy(objects, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        await before(name as keyof Objects, args[0]);
        return await (value as (...all: unknown[]) => Promise<unknown>).apply(target, args);
      };
    },
  });
}

function apiOf(ports: Ports): {
  readonly app: Hono<ApiEnv>;
  readonly request: (
    method: string,
    path: string,
    options?: { body?: unknown; headers?: Record<string, string> },
  ) => Promise<Response>;
} {
  const metrics = prometheusMetrics({ standing: () => standing(ports), log: ports.log });
  const app = createApi({
    ports,
    credentials: async () => ({ adminTokens: [adminToken], webhookSecrets: ['a secret of these tests'] }),
    version: '0.0.0',
    metrics,
    randomBytes,
  });
  return {
    app,
    request: async (method, path, { body, headers = {} } = {}) => {
      const isRaw = body instanceof Uint8Array || typeof body === 'string';
      return await app.request(path, {
        method,
        ...(body === undefined ? {} : { body: isRaw ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
        headers: {
          authorization: `Bearer ${adminToken}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
      });
    },
  };
}
