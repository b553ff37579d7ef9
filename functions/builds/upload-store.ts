import type { RecordKey, Records } from '../ports/records.ts';
import { createRecord, getRecord, updateRecord, type Shape } from '../ports/update.ts';
import { Problem } from '../runtime/errors.ts';
import { allBuilds, appBuilds, buildSort } from './store.ts';
import type { UploadBuild } from './upload-build.ts';

/** Those that are not purged: what is in them is kept. */
export const openUploads = 'builds/open';
/** Those whose purge was asked for and is not done. */
export const purgingUploads = 'builds/purging';

const shape: Shape<UploadBuild> = {
  what: 'build',
  indexesOf: (build) => {
    const sort = buildSort({ createdAt: build.createdAt, id: String(build.id) });
    const { status } = build.state;
    // What is published is kept by where it is: pruning need not read through all that ever was.
    const isOver = status === 'purged' || (status !== 'purging' && build.published.status === 'published');
    return {
      list: { partition: allBuilds, sort },
      ...(build.app === undefined ? {} : { lookup: { partition: appBuilds(build.app), sort } }),
      ...(isOver ? {} : { open: { partition: status === 'purging' ? purgingUploads : openUploads, sort } }),
    };
  },
};

const keyOf = (id: number): RecordKey => ({ partition: `upload/${id}`, sort: 'build' });

/** False when there is one of that id. */
export async function createUpload(records: Records, build: UploadBuild): Promise<boolean> {
  return (await createRecord(records, shape, { key: keyOf(build.id), value: build })) !== undefined;
}

export async function findUpload(records: Records, id: number): Promise<UploadBuild | undefined> {
  return (await records.find<UploadBuild>(keyOf(id)))?.value;
}

/** Throws `Problem('not-found')`. */
export async function getUpload(records: Records, id: number): Promise<UploadBuild> {
  return (await getRecord<UploadBuild>(records, shape, { key: keyOf(id), id: String(id) })).value;
}

/** The build's app; throws `Problem('conflict')` for one that no ref has given an app yet. */
export function appOf({ app }: Pick<UploadBuild, 'app'>): string {
  if (app !== undefined) return app;
  throw new Problem(
    'conflict',
    'The build is of no app yet: name one when it is created, or put a ref of an app into it',
  );
}

/** Changes a build; `change` answers undefined to leave it as it is, and what it throws ends the change. */
export async function changeUpload(
  records: Records,
  id: number,
  change: (build: UploadBuild) => UploadBuild | undefined,
): Promise<UploadBuild> {
  return (await updateRecord(records, shape, { key: keyOf(id), id: String(id), change })).value;
}
