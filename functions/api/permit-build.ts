import type { Context } from 'hono';
import type { Resource } from '../access/principal.ts';
import { findApp, type AppRecord } from '../apps/registry.ts';
import { findAppNamed, getAppNamed, outsideName } from '../apps/outside-name.ts';
import type { AnyBuild } from '../builds/list.ts';
import { findUpload, getUpload } from '../builds/upload-store.ts';
import type { UploadBuild } from '../builds/upload-build.ts';
import type { Job } from '../builds/job.ts';
import type { Records } from '../ports/records.ts';
import { mayRead, permit } from './permit.ts';
import { principalOf, type ApiEnv } from './request-context.ts';

/** A build by upload that the caller's token allows. Throws `Problem('forbidden')`, `Problem('not-found')`. */
export async function getPermittedUpload(c: Context<ApiEnv>, records: Records, id: number): Promise<UploadBuild> {
  const build = await getUpload(records, id);
  permit(c, resourceOf({ kind: 'upload', build }));
  return build;
}

/**
 * The app that a caller names, by its id or its `appId`. One that the token does not allow is refused in the same words
 * as one that is not there: nobody is told which apps there are. Throws `Problem('forbidden')`, `Problem('not-found')`.
 */
export async function getPermittedApp(
  c: Context<ApiEnv>,
  records: Records,
  { name, repo }: { readonly name: string; readonly repo: string },
): Promise<AppRecord> {
  const found = await findAppNamed(records, name);
  permit(c, { app: found?.id ?? name, appId: found ? outsideName(found) : name, repo });
  return found ?? (await getAppNamed(records, name));
}

/** What a token must allow of a build. One that is of no app yet is whoever's token allows every app. */
export function resourceOf(any: AnyBuild): Resource {
  if (any.kind === 'made') {
    const { deployment } = any;
    return { app: any.build.app, appId: deployment?.settings.appId, repo: deployment?.environment ?? '' };
  }
  const { app = '', appId, repo } = any.build;
  return { app, appId, repo };
}

/** The same of a job: what it works on. */
export async function permitJob(c: Context<ApiEnv>, records: Records, job: Job): Promise<void> {
  permit(c, await jobResource(records, job));
}

/** Whether a job may be shown in a list. */
export async function mayReadJob(c: Context<ApiEnv>, records: Records, job: Job): Promise<boolean> {
  return mayRead(principalOf(c), await jobResource(records, job));
}

async function jobResource(records: Records, { app, repo, work }: Job): Promise<Resource> {
  const build = 'build' in work ? await findUpload(records, work.build) : undefined;
  if (build) return resourceOf({ kind: 'upload', build });
  const appId = app === undefined ? undefined : (await findApp(records, app))?.app.appId;
  const place = work.kind === 'hook' ? work.event.environment : repo;
  return { app: app ?? '', appId, repo: place ?? '' };
}

/** By what a caller is known again: the id of the token, not its name, which others may have too. */
export function callerOf(c: Context<ApiEnv>): string {
  const { jti, name } = principalOf(c);
  return jti ?? name;
}
