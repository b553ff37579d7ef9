import * as v from 'valibot';
import {
  buildShape,
  checkShape,
  extendedBuildShape,
  jobShape,
  type BuildView,
  type CheckView,
  type ExtendedBuildView,
  type JobView,
} from '../../functions/api/build-shapes.ts';

/** What the builds service answers, made by the API's own schemas: a fixture that it could not send throws. */

export function build(over: Partial<BuildView> = {}): BuildView {
  return v.parse(buildShape, {
    id: 7,
    created: '2026-11-20T10:00:00.000Z',
    repo_state: 0,
    published_state: 0,
    repo: 'dev',
    extra_ids: [],
    app_id: 'web',
    public_download: false,
    build_log_url: null,
    token_name: 'ci',
    token_type: null,
    kind: 'upload',
    app: 'web',
    artifact: null,
    ...over,
  });
}

export function check(over: Partial<CheckView> = {}): CheckView {
  return v.parse(checkShape, {
    check_name: 'lint',
    build_id: 7,
    job_id: 43,
    status: 0,
    status_reason: null,
    results: null,
    ...over,
  });
}

export function extended(over: Partial<BuildView> = {}, checks: readonly CheckView[] = []): ExtendedBuildView {
  return v.parse(extendedBuildShape, { build: build(over), build_refs: [], checks });
}

export function job(over: Omit<Partial<JobView>, 'results'> & { results?: object } = {}): JobView {
  const { results, ...rest } = over;
  return v.parse(jobShape, {
    id: 42,
    kind: 0,
    status: 1,
    contents: '{}',
    log: '',
    start_after: null,
    repo: 'dev',
    ...rest,
    ...(results === undefined ? {} : { results: JSON.stringify(results) }),
  });
}

export const artifact = `sha256:${'b'.repeat(64)}`;
export const endedJob = (results: object = {}, log = '') => job({ status: 2, results, log });
export const brokenJob = (reason: string, log = '') => job({ status: 3, results: { 'error-message': reason }, log });
