import { readManifest, type ManifestEntry } from '../artifacts/manifest.ts';
import { readPointer } from '../artifacts/pointer.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import type { Digest } from '../runtime/units.ts';
import { recallContents, type Contents } from './contents.ts';
import { parseObjectName } from './objects/object-name.ts';
import type { UploadBuild } from './upload-build.ts';
import { getUpload } from './upload-store.ts';

type PresentPorts = Pick<ApiPorts, 'records'> & { readonly objects: Pick<ApiPorts['objects'], 'read'> };

/** Where a build finds objects: what was put into it, and what its environment has published; nothing wider, of any app. */
export type Presence = { readonly own: Contents; readonly published: ReadonlyMap<string, ManifestEntry> };

/** Which of the names have to be sent to the build; throws `Problem('invalid')` for one that no object can have. */
export async function missingObjects(
  ports: PresentPorts,
  id: number,
  wanted: readonly string[],
): Promise<readonly string[]> {
  for (const name of wanted) parseObjectName(name);
  const build = await getUpload(ports.records, id);
  const own = await recallContents(ports.records, build);
  const published = await publishedObjects(ports, build);
  return wanted.filter((name) => !own.stored.has(name) && !published.has(name));
}

/** The objects of what is published in the build's environment now; none where it is of no app yet. */
export async function publishedObjects(
  ports: PresentPorts,
  { app, repo }: Pick<UploadBuild, 'app' | 'repo'>,
): Promise<ReadonlyMap<string, ManifestEntry>> {
  if (app === undefined) return new Map();
  const { history } = await readPointer(ports.records, { app, environment: repo });
  const manifest = history[0]?.manifest;
  return manifest ? await listedIn(ports, manifest) : new Map();
}

/** A list of objects that is lost says that nothing is there: all is sent anew then. */
async function listedIn({ objects }: PresentPorts, manifest: Digest): Promise<ReadonlyMap<string, ManifestEntry>> {
  try {
    return (await readManifest(objects, manifest)).entries;
  } catch (error) {
    if (error instanceof Problem && error.kind === 'not-found') return new Map();
    throw error;
  }
}
