import { findDeployment } from '../deployments/store.ts';
import type { Deployment } from '../deployments/deployment.ts';
import type { ListQuery, Records } from '../ports/records.ts';
import { Problem } from '../runtime/errors.ts';
import { allBuilds, appBuilds, findBuild, findBuildByNumber, type Build } from './store.ts';
import type { UploadBuild } from './upload-build.ts';
import { findUpload } from './upload-store.ts';

/** A build, whichever way it came: by upload, or from Git, an image or a URL, for a deployment. */
export type AnyBuild =
  | { readonly kind: 'upload'; readonly build: UploadBuild }
  | { readonly kind: 'made'; readonly build: Build; readonly deployment: Deployment | undefined };

export type BuildQuery = {
  readonly app?: string | undefined;
  /** 1..200, default 50. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly fits: (build: AnyBuild) => boolean;
};

/** At most this many records are read for a page of which few fit; the cursor goes on from there. */
const maxRead = 1000;

/** Builds of both kinds, newest first. A page may be short, and is the last when there is no `next`. */
export async function listBuilds(
  records: Records,
  { app, limit = 50, cursor, fits }: BuildQuery,
): Promise<{ items: readonly AnyBuild[]; next: string | undefined }> {
  const place: ListQuery = app
    ? { partition: appBuilds(app), index: 'lookup' }
    : { partition: allBuilds, index: 'list' };
  const items: AnyBuild[] = [];
  let after = cursor;
  let read = 0;
  do {
    const page = await records.list<Build | UploadBuild>({
      ...place,
      order: 'descending',
      limit: limit - items.length,
      ...(after ? { after } : {}),
    });
    const builds = await Promise.all(page.items.map(async ({ value }) => await asAnyBuild(records, value)));
    items.push(...builds.filter((any) => !isImport(any) && fits(any)));
    read += page.items.length;
    after = page.next;
  } while (after && items.length < limit && read < maxRead);
  return { items, next: after };
}

/** What only brings an image that was uploaded to where it runs has made nothing. */
function isImport({ build }: AnyBuild): boolean {
  return build.kind === 'import';
}

/** By its number, or for one that a deployment made, by its id. Throws `Problem('not-found')`. */
export async function getAnyBuild(records: Records, id: string): Promise<AnyBuild> {
  const number = /^[1-9]\d{0,9}$/.test(id) ? Number(id) : undefined;
  const upload = number === undefined ? undefined : await findUpload(records, number);
  if (upload) return { kind: 'upload', build: upload };
  const made = number === undefined ? await findBuild(records, id) : await findBuildByNumber(records, number);
  if (made) return await asAnyBuild(records, made);
  throw new Problem('not-found', `There is no build ${id}`);
}

async function asAnyBuild(records: Records, build: Build | UploadBuild): Promise<AnyBuild> {
  if (build.kind === 'upload') return { kind: 'upload', build };
  return { kind: 'made', build, deployment: await findDeployment(records, build.deploymentId) };
}
