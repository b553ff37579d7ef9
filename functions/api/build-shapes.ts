import * as v from 'valibot';

/**
 * What the builds service answers: flat-manager's objects, whose members have its names. Those in `exactOptional` are
 * left out where there is nothing; the others are null.
 */
const text = v.nullable(v.string());

export const buildShape = v.object({
  id: v.number(),
  created: v.string(),
  /** 0 uploading, 1 committing, 2 ready, 3 failed, 4 purging, 5 purged, 6 validating. */
  repo_state: v.number(),
  repo_state_reason: v.exactOptional(v.string()),
  /** 0 unpublished, 1 publishing, 2 published, 3 failed. */
  published_state: v.number(),
  published_state_reason: v.exactOptional(v.string()),
  commit_job_id: v.exactOptional(v.number()),
  publish_job_id: v.exactOptional(v.number()),
  repo: v.string(),
  extra_ids: v.array(v.string()),
  app_id: text,
  public_download: v.boolean(),
  build_log_url: text,
  token_name: text,
  token_type: text,
  /** Ours: `upload`, or what a deployment has built: `image`, `bundle`, `fetch`, `registry`, `import`. */
  kind: v.string(),
  /** Ours: the app's id here. */
  app: text,
  /** Ours: of what a deployment has built, its id, by which its log is followed, and the deployment. */
  build: v.exactOptional(v.string()),
  deployment: v.exactOptional(v.string()),
  /** Ours: what it has become. */
  artifact: v.nullable(v.object({ digest: v.string(), kind: v.string() })),
});

export const buildRefShape = v.object({
  id: v.number(),
  build_id: v.number(),
  ref_name: v.string(),
  commit: v.string(),
  build_log_url: text,
});

export const checkShape = v.object({
  check_name: v.string(),
  build_id: v.number(),
  job_id: v.number(),
  /** 0 pending, 1 passed, 2 passed with warnings, 3 failed, 4 review required. */
  status: v.number(),
  status_reason: text,
  results: text,
});

export const extendedBuildShape = v.object({
  build: buildShape,
  build_refs: v.array(buildRefShape),
  checks: v.array(checkShape),
});

export const jobShape = v.object({
  id: v.number(),
  /** 0 commit, 1 publish, 2 update-repo, 3 republish, 4 check, 5 prune; ours: 6 hook. */
  kind: v.number(),
  /** 0 new, 1 started, 2 ended, 3 broken. */
  status: v.number(),
  /** JSON as text. */
  contents: v.string(),
  /** JSON as text; left out while there are none. */
  results: v.exactOptional(v.string()),
  /** From `log-offset` on. */
  log: v.string(),
  start_after: v.nullable(v.object({ secs_since_epoch: v.number(), nanos_since_epoch: v.number() })),
  repo: text,
});

export const missingShape = v.object({ missing: v.array(v.string()) });
export const sizesShape = v.array(v.number());

export const transfersShape = v.object({
  objects: v.array(
    v.object({
      name: v.string(),
      status: v.picklist(['stored', 'open']),
      partCount: v.exactOptional(v.number()),
      missingCount: v.exactOptional(v.number()),
      parts: v.exactOptional(
        v.array(
          v.object({
            number: v.number(),
            offsetBytes: v.number(),
            sizeBytes: v.number(),
            url: v.string(),
            headers: v.record(v.string(), v.string()),
          }),
        ),
      ),
    }),
  ),
});

const publishedShape = v.object({
  artifact: v.string(),
  kind: v.string(),
  build: v.nullable(v.number()),
  from: text,
  job: v.number(),
  at: v.string(),
  by: v.string(),
});
export const pointerShape = v.object({
  app: v.string(),
  environment: v.string(),
  current: v.nullable(publishedShape),
  history: v.array(publishedShape),
});
export const deadHooksShape = v.object({ items: v.array(jobShape), next: text });

export type BuildView = v.InferOutput<typeof buildShape>;
export type BuildRefView = v.InferOutput<typeof buildRefShape>;
export type CheckView = v.InferOutput<typeof checkShape>;
export type ExtendedBuildView = v.InferOutput<typeof extendedBuildShape>;
export type JobView = v.InferOutput<typeof jobShape>;
export type TransfersView = v.InferOutput<typeof transfersShape>;
export type PointerView = v.InferOutput<typeof pointerShape>;
