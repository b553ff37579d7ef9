import * as v from 'valibot';
import { outsideName } from '../apps/outside-name.ts';
import type { AppRecord } from '../apps/registry.ts';
import { nameSchema, type Environment } from '../apps/schema.ts';
import { environmentOf } from '../deployments/request.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { numberOf } from './number.ts';
import { createUpload } from './upload-store.ts';
import type { UploadBuild } from './upload-build.ts';
import { claimNumber } from './store.ts';

export type NewUpload = {
  readonly repo: string;
  /** The app the caller may put builds into; undefined: its first ref names it. */
  readonly app: AppRecord | undefined;
  readonly publicDownload?: boolean | undefined;
  readonly buildLogUrl?: string | undefined;
  readonly tokenName: string;
  readonly tokenType?: string | undefined;
};

/**
 * Begins a build by upload. Throws `Problem('not-found')` for an environment that the app has not, and
 * `Problem('conflict')` for one that has a parent: it takes promotions.
 */
export async function createUploadBuild(
  ports: Pick<ApiPorts, 'records' | 'clock' | 'newId'>,
  wanted: NewUpload,
): Promise<UploadBuild> {
  const { app, repo } = wanted;
  if (app) buildableEnvironment(app, repo);
  else if (!v.is(nameSchema, repo)) throw new Problem('not-found', 'There is no repository of that name');
  for (;;) {
    const seed = ports.newId();
    const id = numberOf(seed);
    if (!(await claimNumber(ports.records, id, `upload/${seed}`))) continue;
    const build: UploadBuild = {
      kind: 'upload',
      id,
      createdAt: ports.clock(),
      repo,
      ...(app ? { app: app.id, appId: outsideName(app) } : {}),
      publicDownload: wanted.publicDownload ?? app === undefined,
      buildLogUrl: wanted.buildLogUrl ?? null,
      tokenName: wanted.tokenName,
      tokenType: wanted.tokenType ?? null,
      extraIds: [],
      refs: [],
      uploaded: { objects: 0, bytes: 0 },
      state: { status: 'uploading' },
      published: { status: 'unpublished' },
      checks: [],
    };
    if (await createUpload(ports.records, build)) return build;
  }
}

/** The environment that a build comes into; throws `Problem('conflict')` for one that takes promotions only. */
export function buildableEnvironment(app: AppRecord, name: string): Environment {
  const environment = environmentOf(app, name);
  if (environment.parent === undefined) return environment;
  throw new Problem(
    'conflict',
    `The environment ${name} takes no builds, as it has the parent ${environment.parent}: promote to it`,
  );
}
