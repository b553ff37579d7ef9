import type { Published, Pointer } from '../artifacts/pointer.ts';
import { jobKinds, jobStatuses, type Job } from '../builds/job.ts';
import type { AnyBuild } from '../builds/list.ts';
import { numberOf } from '../builds/number.ts';
import type { Build } from '../builds/store.ts';
import type { BuildCheck, BuildRef, UploadBuild } from '../builds/upload-build.ts';
import type { Deployment } from '../deployments/deployment.ts';
import { isoTime } from '../runtime/units.ts';
import type { BuildRefView, BuildView, CheckView, JobView, PointerView } from './build-shapes.ts';

const repoStates = { uploading: 0, committing: 1, ready: 2, failed: 3, purging: 4, purged: 5, validating: 6 } as const;
const publishedStates = { unpublished: 0, publishing: 1, published: 2, failed: 3 } as const;
const checkStates = { pending: 0, passed: 1, 'passed-with-warnings': 2, failed: 3, 'review-required': 4 } as const;

/** A build as flat-manager's clients know it, with what is ours beside it; pure. */
export function buildView(any: AnyBuild): BuildView {
  return any.kind === 'upload' ? uploadView(any.build) : madeView(any.build, any.deployment);
}

function uploadView(build: UploadBuild): BuildView {
  const { state, published } = build;
  return {
    id: build.id,
    created: isoTime(build.createdAt),
    repo_state: repoStates[state.status],
    ...('reason' in state && state.reason !== undefined ? { repo_state_reason: state.reason } : {}),
    published_state: publishedStates[published.status],
    ...('reason' in published ? { published_state_reason: published.reason } : {}),
    ...(build.commitJobId === undefined ? {} : { commit_job_id: build.commitJobId }),
    ...(build.publishJobId === undefined ? {} : { publish_job_id: build.publishJobId }),
    repo: build.repo,
    extra_ids: [...build.extraIds],
    app_id: build.appId ?? null,
    public_download: build.publicDownload,
    build_log_url: build.buildLogUrl,
    token_name: build.tokenName,
    token_type: build.tokenType,
    kind: 'upload',
    app: build.app ?? null,
    artifact: build.artifact ? { digest: build.artifact.digest, kind: build.artifact.kind } : null,
  };
}

/** What a deployment has built: while it is built it is being filled, and what was rolled out is published. */
function madeView(build: Build, deployment: Deployment | undefined): BuildView {
  const { state } = build;
  const repoState = state.status === 'open' ? 'uploading' : state.status === 'succeeded' ? 'ready' : 'failed';
  const published = publishedBy(build, deployment);
  return {
    id: build.number ?? numberOf(`${build.id}/0`),
    created: isoTime(build.createdAt),
    repo_state: repoStates[repoState],
    ...('reason' in state ? { repo_state_reason: state.reason } : {}),
    published_state: publishedStates[published.status],
    ...(published.reason === undefined ? {} : { published_state_reason: published.reason }),
    repo: deployment?.environment ?? '',
    extra_ids: [],
    app_id: build.app,
    public_download: false,
    build_log_url: null,
    token_name: deployment ? actorOf(deployment) : null,
    token_type: null,
    kind: build.kind,
    app: build.app,
    build: build.id,
    deployment: build.deploymentId,
    artifact: state.status === 'succeeded' ? { digest: state.artifact, kind: artifactKind(build, deployment) } : null,
  };
}

function publishedBy(
  { state }: Build,
  deployment: Deployment | undefined,
): { readonly status: keyof typeof publishedStates; readonly reason?: string } {
  if (state.status !== 'succeeded' || !deployment) return { status: 'unpublished' };
  const now = deployment.state;
  switch (now.status) {
    case 'succeeded':
      return { status: 'published' };
    case 'rolling':
    case 'verifying':
    case 'rolling_back':
      return { status: 'publishing' };
    case 'rolled_back':
    case 'failed':
      return { status: 'failed', reason: now.reason };
    case 'queued':
    case 'building':
    case 'cancelled':
    case 'superseded':
      return { status: 'unpublished' };
  }
}

function actorOf({ trigger }: Deployment): string {
  return trigger.kind === 'push' ? trigger.pusher : trigger.actor;
}

function artifactKind({ kind }: Build, deployment: Deployment | undefined): string {
  if (kind === 'bundle') return 'bundle';
  return deployment?.revision?.artifact.kind ?? 'image';
}

export function refView(build: number, { id, ref, commit, buildLogUrl }: BuildRef): BuildRefView {
  return { id, build_id: build, ref_name: ref, commit, build_log_url: buildLogUrl };
}

export function checkView(build: number, { name, jobId, outcome, results }: BuildCheck): CheckView {
  return {
    check_name: name,
    build_id: build,
    job_id: jobId,
    status: checkStates[outcome.status],
    status_reason: 'reason' in outcome ? outcome.reason : null,
    results,
  };
}

/** A job with what it has told from `offset` on; pure. */
export function jobView(job: Job, { log, offset }: { readonly log: string; readonly offset: number }): JobView {
  const { id, work, state, repo } = job;
  const startAfter = work.kind === 'hook' && state.status === 'started' ? work.nextAt : undefined;
  const results = resultsOf(state);
  return {
    id,
    kind: jobKinds[work.kind],
    status: jobStatuses[state.status],
    contents: JSON.stringify(contentsOf(job)),
    ...(results === undefined ? {} : { results: JSON.stringify(results) }),
    log: log.slice(offset),
    start_after:
      startAfter === undefined
        ? null
        : { secs_since_epoch: Math.floor(startAfter / 1000), nanos_since_epoch: (startAfter % 1000) * 1_000_000 },
    repo,
  };
}

function resultsOf(state: Job['state']): object | undefined {
  if (state.status === 'ended') return state.results;
  return state.status === 'broken' ? { 'error-message': state.reason } : undefined;
}

function contentsOf({ work, app }: Job): object {
  switch (work.kind) {
    case 'commit': {
      const { reason = null, rebase = null, tokenType = null } = work.endOfLife ?? {};
      return { build: work.build, endoflife: reason, endoflife_rebase: rebase, token_type: tokenType };
    }
    case 'publish':
      return { build: work.build };
    case 'promote':
      return { app, from: work.from, artifact: work.promoted.digest };
    case 'republish':
      return { app, endoflife: null, endoflife_rebase: null };
    case 'check':
      return { build: work.build, name: work.settings.name };
    case 'prune':
      return { app: work.prune.app ?? null, 'dry-run': work.prune.dryRun, 'keep-hours': work.prune.keepHours };
    case 'hook':
      return { app, hook: work.hook, environment: work.event.environment, artifact: work.event.artifact };
  }
}

export function pointerView(app: string, environment: string, { history }: Pointer): PointerView {
  const shown = history.map(publishedView);
  return { app, environment, current: shown[0] ?? null, history: shown };
}

function publishedView({ artifact, kind, build, from, jobId, at, by }: Published): PointerView['history'][number] {
  return { artifact, kind, build: build ?? null, from: from ?? null, job: jobId, at: isoTime(at), by };
}
