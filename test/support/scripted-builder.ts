import { createHash } from 'node:crypto';
import type { Builder, BuildObservation, BuildRequest } from '../../functions/ports/builder.ts';

/** How a scripted build ends; `never` runs until it is stopped. */
export type BuildScript = (request: BuildRequest) => 'succeeded' | 'failed' | 'interrupted' | 'never';

/** A builder that does as a test says; its artifacts differ by commit. */
export function scriptedBuilder(options: { script: () => BuildScript }) {
  type Running = { request: BuildRequest; seen: BuildObservation; end: PromiseWithResolvers<BuildObservation> };
  const builds = new Map<string, Running>();
  const started: string[] = [];
  let mostAtOnce = 0;
  const runningOf = (app: string) =>
    [...builds.values()].filter(({ request, seen }) => request.spec.app === app && seen.status === 'running').length;
  const finish = (id: string, seen: BuildObservation) => {
    const build = builds.get(id);
    if (!build || build.seen.status !== 'running') return;
    build.seen = seen;
    build.end.resolve(seen);
  };
  const succeed = (request: BuildRequest) => {
    const exported = { SLUICE_RESULT: JSON.stringify(resultOf(request)) };
    finish(request.spec.buildId, { status: 'succeeded', reason: '', phases: [], exported });
  };
  const builder: Builder & { wait(id: string): Promise<BuildObservation> } = {
    async start(request) {
      const id = request.spec.buildId;
      if (builds.has(id)) return;
      started.push(id);
      builds.set(id, { request, seen: { status: 'running', phase: 'build' }, end: Promise.withResolvers() });
      mostAtOnce = Math.max(mostAtOnce, runningOf(request.spec.app));
      const status = options.script()(request);
      if (status === 'never') return;
      const reason =
        status === 'failed' ? 'The command exited with 1' : status === 'interrupted' ? 'The machine was lost' : '';
      setImmediate(() =>
        status === 'succeeded' ? succeed(request) : finish(id, { status, reason, phases: [], exported: {} }),
      );
    },
    async observe(id) {
      return builds.get(id)?.seen ?? { status: 'unknown' };
    },
    async wait(id) {
      return (await builds.get(id)?.end.promise) ?? { status: 'unknown' };
    },
    async stop(id) {
      finish(id, { status: 'stopped', reason: 'Stopped', phases: [], exported: {} });
    },
    async logs() {
      return { lines: [], next: '0', done: true };
    },
    async ready() {},
  };
  /** Every build that would run on comes to its end. */
  const release = () => {
    for (const { request } of builds.values()) succeed(request);
  };
  /** The most builds of one app that ever ran at once. */
  return { builder, started, release, mostAtOnce: () => mostAtOnce };
}

function resultOf({ spec }: BuildRequest) {
  const { work } = spec;
  if (work.kind === 'import') {
    const { artifact: digest } = work.import;
    const phases = [{ name: 'build', seconds: 1 }];
    return { kind: 'image', digest, sizeBytes: 10, reference: `registry.test/${spec.app}@${digest}`, phases };
  }
  const text =
    work.kind === 'image' || work.kind === 'bundle' ? (work.source.commit ?? work.source.ref) : JSON.stringify(work);
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const commit = 'source' in work ? (work.source.commit ?? '1'.repeat(40)) : undefined;
  return {
    kind: 'bundle',
    digest,
    sizeBytes: 10,
    reference: digest,
    phases: [{ name: 'build', seconds: 1 }],
    ...(commit ? { commit } : {}),
  };
}
