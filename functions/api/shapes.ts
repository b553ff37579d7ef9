import * as v from 'valibot';
import { appSchema } from '../apps/schema.ts';
import { statuses } from '../deployments/state.ts';

/** What the API answers, as outside tools see it. Times are ISO 8601 in UTC. */
const time = v.pipe(v.string(), v.isoTimestamp());

export const problemShape = v.object({
  /** RFC 9457, and beside it what flat-manager's clients read. */
  type: v.string(),
  title: v.string(),
  status: v.number(),
  detail: v.string(),
  'error-type': v.string(),
  message: v.string(),
  requestId: v.string(),
  issues: v.optional(v.array(v.object({ field: v.string(), expected: v.string() }))),
  /** Of a build that is not in the state that a call needs. */
  'current-state': v.optional(v.string()),
  'expected-state': v.optional(v.string()),
});

export const appShape = v.object({
  id: v.string(),
  ...appSchema.entries,
  createdAt: time,
  updatedAt: time,
});

export const timelineShape = v.object({
  seq: v.number(),
  at: time,
  kind: v.string(),
  text: v.string(),
  target: v.optional(v.string()),
});

const countsShape = v.object({
  desired: v.number(),
  newServing: v.number(),
  newStarting: v.number(),
  oldServing: v.number(),
  draining: v.number(),
  failed: v.number(),
});

export const deploymentShape = v.object({
  id: v.string(),
  app: v.string(),
  environment: v.string(),
  status: v.picklist(statuses),
  /** Why it ended as it did; empty while it has not. */
  reason: v.string(),
  createdAt: time,
  endedAt: v.nullable(time),
  trigger: v.object({
    kind: v.string(),
    actor: v.string(),
    ref: v.optional(v.string()),
    deliveryId: v.optional(v.string()),
  }),
  /** What was asked for: `{"kind":"source","ref":"main"}` and the like. */
  request: v.looseObject({ kind: v.string() }),
  commit: v.nullable(v.string()),
  build: v.nullable(v.object({ id: v.string() })),
  artifact: v.nullable(v.object({ digest: v.string(), kind: v.string() })),
  targets: v.array(
    v.object({
      name: v.string(),
      wave: v.number(),
      status: v.string(),
      reason: v.string(),
      counts: v.optional(countsShape),
    }),
  ),
  timeline: v.array(timelineShape),
});

/** In lists a deployment comes without its timeline and targets. */
export const deploymentRowShape = v.omit(deploymentShape, ['timeline', 'targets']);

export const eventsShape = v.object({
  items: v.array(timelineShape),
  /** Give it as `after` to follow on. */
  next: v.string(),
  /** True when the deployment has ended and these are its last events. */
  done: v.boolean(),
});

export const logShape = v.object({
  lines: v.array(v.object({ at: time, phase: v.string(), text: v.string() })),
  next: v.string(),
  done: v.boolean(),
});

export const environmentShape = v.object({
  app: v.string(),
  environment: v.string(),
  /** The last deployment that succeeded here. */
  current: v.nullable(deploymentRowShape),
  targets: v.array(
    v.object({
      name: v.string(),
      revision: v.nullable(
        v.object({ id: v.string(), deploymentId: v.string(), artifact: v.string(), commit: v.nullable(v.string()) }),
      ),
      desiredCount: v.number(),
      runningCount: v.number(),
      listenPort: v.nullable(v.number()),
      tasks: v.array(
        v.object({
          id: v.string(),
          revisionId: v.string(),
          state: v.picklist(['starting', 'serving', 'draining', 'stopping', 'failed']),
          startedAt: time,
          inFlight: v.nullable(v.number()),
        }),
      ),
      lastFailure: v.nullable(v.object({ at: time, reason: v.string() })),
    }),
  ),
  lane: v.object({
    active: v.nullable(v.string()),
    queued: v.array(v.string()),
  }),
});

export const appListShape = v.object({ items: v.array(appShape), next: v.nullable(v.string()) });

export const deploymentListShape = v.object({ items: v.array(deploymentRowShape), next: v.nullable(v.string()) });

export const deployKeyShape = v.object({
  /** One line of OpenSSH's format, to be given to the Git server. */
  publicKey: v.string(),
});

export const secretNamesShape = v.object({ items: v.array(v.object({ name: v.string() })) });

export const scaledShape = v.object({
  app: v.string(),
  environment: v.string(),
  target: v.string(),
  desiredCount: v.number(),
});

/** What a webhook delivery or a push has led to. */
export const deliveryShape = v.object({
  /** Why nothing was begun. */
  message: v.optional(v.string()),
  deployments: v.optional(v.array(v.object({ id: v.string(), app: v.string(), environment: v.string() }))),
});

export const healthShape = v.object({ status: v.literal('ok'), version: v.string() });

const checkShape = v.picklist(['ok', 'failed', 'timed out']);
export const readyShape = v.object({
  status: v.picklist(['ok', 'failing']),
  checks: v.object({
    records: checkShape,
    objects: checkShape,
    secrets: checkShape,
    builder: checkShape,
    fleet: checkShape,
    workflow: checkShape,
  }),
});

export type AppView = v.InferOutput<typeof appShape>;
export type ReadyView = v.InferOutput<typeof readyShape>;
export type DeploymentView = v.InferOutput<typeof deploymentShape>;
export type DeploymentRow = v.InferOutput<typeof deploymentRowShape>;
export type EnvironmentView = v.InferOutput<typeof environmentShape>;
export type EventsView = v.InferOutput<typeof eventsShape>;
export type LogView = v.InferOutput<typeof logShape>;
export type ProblemView = v.InferOutput<typeof problemShape>;
