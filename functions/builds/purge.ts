import type { Ports } from '../ports/ports.ts';
import { messageOf, Problem } from '../runtime/errors.ts';
import { forgetContents, readContents } from './contents.ts';
import { uploadIdOf, type UploadBuild } from './upload-build.ts';
import { purging } from './upload-state.ts';
import { changeUpload, purgingUploads } from './upload-store.ts';

type PurgePorts = Pick<Ports, 'records'> & { readonly objects: Pick<Ports['objects'], 'abandonUpload'> };

const atOnce = 16;

/**
 * Forgets what was put into a build; the build itself stays to be read. What it has published stays published: objects
 * go when they are pruned, and nothing names them any more. Purging what is purged is harmless. Throws
 * `Problem('conflict')` while something works on it.
 */
export async function purgeBuild(ports: PurgePorts, id: number): Promise<UploadBuild> {
  const build = await changeUpload(ports.records, id, purging);
  if (build.state.status === 'purged') return build;
  const { declared } = await readContents(ports.records, id);
  const uploads = [...declared.values()].map((entry) => ({ id: uploadIdOf({ id }), ...entry }));
  for (let at = 0; at < uploads.length; at += atOnce) {
    await Promise.all(uploads.slice(at, at + atOnce).map(async (upload) => await ports.objects.abandonUpload(upload)));
  }
  return await finishPurge(ports.records, id);
}

/**
 * Goes on with every purge whose caller was lost; harmless for those whose caller is at it. What was sent in parts, and
 * never finished, the store forgets by itself within a week.
 */
export async function finishPurges(ports: Pick<Ports, 'records' | 'log'>): Promise<void> {
  let after: string | undefined;
  do {
    const query = { partition: purgingUploads, index: 'open', ...(after ? { after } : {}) } as const;
    const page = await ports.records.list<UploadBuild>(query);
    for (const { value } of page.items) {
      try {
        await finishPurge(ports.records, value.id);
      } catch (error) {
        ports.log.error('build not purged yet', { build: value.id, error: messageOf(error) });
      }
    }
    after = page.next;
  } while (after);
}

async function finishPurge(records: Ports['records'], id: number): Promise<UploadBuild> {
  await forgetContents(records, id);
  return await changeUpload(records, id, (build) => {
    if (build.state.status === 'purged') return undefined;
    if (build.state.status !== 'purging') throw new Problem('conflict', 'The build is not being purged');
    return { ...build, state: { status: 'purged' } };
  });
}
