import { createHash } from 'node:crypto';
import type { Builder, BuildObservation, BuildRequest } from '../../functions/ports/builder.ts';

/** How a scripted build ends; `never` runs until it is stopped. */
export type BuildScript = (request: BuildRequest) => 'succeeded' | 'failed' | 'interrupted' | 'never';

/** A builder that does as a test says; its artifacts differ by commit. */
export function scriptedBuilder(options: { script: () => BuildScript }) {
  const builds = new Map<string, { seen: BuildObservation; end: PromiseWithResolvers<BuildObservation> }>();
  const started: string[] = [];
  let running = 0;
  let mostAtOnce = 0;
  const finish = (id: string, seen: BuildObservation) => {
    const build = builds.get(id);
    if (!build || build.seen.status !== 'running') return;
    running -= 1;
    build.seen = seen;
    build.end.resolve(seen);
  };
  const builder: Builder & { wait(id: string): Promise<BuildObservation> } = {
    async start(request) {
      const id = request.spec.buildId;
      if (builds.has(id)) return;
      started.push(id);
      builds.set(id, { seen: { status: 'running', phase: 'build' }, end: Promise.withResolvers() });
      running += 1;
      mostAtOnce = Math.max(mostAtOnce, running);
      const status = options.script()(request);
      if (status === 'never') return;
      const reason =
        status === 'failed' ? 'The command exited with 1' : status === 'interrupted' ? 'The machine was lost' : '';
      const exported = status === 'succeeded' ? { SLUICE_RESULT: JSON.stringify(resultOf(request)) } : {};
      setImmediate(() => finish(id, { status, reason, phases: [], exported: exported as Record<string, string> }));
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
  return { builder, started, mostAtOnce: () => mostAtOnce };
}

function resultOf({ spec }: BuildRequest) {
  const { work } = spec;
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
