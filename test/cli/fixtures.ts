import * as v from 'valibot';
import {
  appShape,
  deploymentRowShape,
  deploymentShape,
  environmentShape,
  eventsShape,
  logShape,
  problemShape,
  type AppView,
  type DeploymentRow,
  type DeploymentView,
  type EnvironmentView,
  type EventsView,
  type LogView,
  type ProblemView,
} from '../../functions/api/shapes.ts';

/** What the API answers, made by its own schemas: a fixture that the API could not send throws. */

export const id = '0197f6a2-1111-7000-8000-000000000001';
export const buildId = '0197f6a3-2222-7000-8000-000000000002';
const commit = 'a'.repeat(40);
const digest = `sha256:${'b'.repeat(64)}`;

export function app(over: Partial<AppView> = {}): AppView {
  return v.parse(appShape, {
    id: 'web',
    source: { repoUrl: 'git@github.com:acme/web.git' },
    build: { kind: 'image' },
    environments: [
      { name: 'dev', branch: 'develop', targets: [{ name: 'web', desiredCount: 2, listenPort: 9001 }] },
      { name: 'beta', branch: 'release/*', targets: [{ name: 'web' }] },
    ],
    createdAt: '2026-11-19T10:00:00.000Z',
    updatedAt: '2026-11-20T09:00:00.000Z',
    ...over,
  });
}

export function row(over: Partial<DeploymentRow> = {}): DeploymentRow {
  return v.parse(deploymentRowShape, {
    id,
    app: 'web',
    environment: 'dev',
    status: 'queued',
    reason: '',
    createdAt: '2026-11-20T10:00:00.000Z',
    endedAt: null,
    trigger: { kind: 'api', actor: 'admin' },
    request: { kind: 'source', ref: 'main' },
    commit: null,
    build: null,
    artifact: null,
    ...over,
  });
}

export function deployment(over: Partial<DeploymentView> = {}): DeploymentView {
  return v.parse(deploymentShape, { ...row(), targets: [], timeline: [], ...over });
}

export const building = (over: Partial<DeploymentView> = {}) =>
  deployment({ status: 'building', build: { id: buildId }, ...over });

export const rolling = (over: Partial<DeploymentView> = {}) =>
  deployment({
    status: 'rolling',
    build: { id: buildId },
    commit,
    artifact: { digest, kind: 'image' },
    targets: [
      {
        name: 'web',
        wave: 0,
        status: 'in_progress',
        reason: '',
        counts: { desired: 2, newServing: 1, newStarting: 1, oldServing: 2, draining: 0, failed: 0 },
      },
    ],
    ...over,
  });

export const ended = (status: DeploymentView['status'], reason = 'all good') =>
  rolling({
    status,
    reason,
    endedAt: '2026-11-20T10:00:42.000Z',
    targets: [{ name: 'web', wave: 0, status: 'succeeded', reason: '' }],
  });

export function event(seq: number, kind: string, over: Partial<EventsView['items'][number]> = {}) {
  return { seq, at: `2026-11-20T10:00:${String(seq).padStart(2, '0')}.000Z`, kind, text: `It is ${kind} now`, ...over };
}

export function events(items: EventsView['items'], done = false): EventsView {
  return v.parse(eventsShape, { items, next: String(items.at(-1)?.seq ?? 0), done });
}

export function log(texts: readonly string[], { next = '1', done = true } = {}): LogView {
  const lines = texts.map((text) => ({ at: '2026-11-20T10:00:02.000Z', phase: 'build', text }));
  return v.parse(logShape, { lines, next, done });
}

type TargetOfEnvironment = EnvironmentView['targets'][number];

export function environment(over: Partial<EnvironmentView> = {}): EnvironmentView {
  const target: TargetOfEnvironment = {
    name: 'web',
    revision: { id: 'r1', deploymentId: id, artifact: digest, commit },
    desiredCount: 2,
    runningCount: 2,
    listenPort: 9001,
    tasks: [
      { id: 't1', revisionId: 'r1', state: 'serving', startedAt: '2026-11-20T09:58:00.000Z', inFlight: 3 },
      { id: 't2', revisionId: 'r1', state: 'serving', startedAt: '2026-11-20T09:58:00.000Z', inFlight: 0 },
    ],
    lastFailure: null,
  };
  return v.parse(environmentShape, {
    app: 'web',
    environment: 'dev',
    current: row({ status: 'succeeded', endedAt: '2026-11-20T09:58:30.000Z' }),
    targets: [target],
    lane: { active: null, queued: [] },
    ...over,
  });
}

export function problem(status: number, over: Partial<ProblemView> = {}): ProblemView {
  return v.parse(problemShape, {
    type: 'urn:sluice:problem:test',
    title: 'Test',
    status,
    detail: 'It cannot be done',
    'error-type': status === 503 ? 'busy' : 'test',
    message: 'It cannot be done',
    requestId: 'req-1',
    ...over,
  });
}
