import { findAppNamed, outsideName } from '../apps/outside-name.ts';
import type { AppRecord } from '../apps/registry.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { invalid } from '../runtime/parse.ts';
import { buildableEnvironment } from './create.ts';
import { checkAppSize } from './limits.ts';
import { numberOf } from './number.ts';
import type { ArtifactKind, BuildRef, UploadBuild } from './upload-build.ts';
import { requireUploading } from './upload-state.ts';
import { changeUpload, getUpload } from './upload-store.ts';
import { countBytes } from './usage.ts';

/** `app/<name>/<arch>/<branch>` or `runtime/…`, or `screenshots/<arch>`, which is of the build's app. */
export type ParsedRef = {
  readonly type: 'app' | 'runtime' | 'screenshots';
  readonly name?: string;
  readonly arch: string;
  readonly branch?: string;
};

/** More would not fit a build's record. */
const mostRefs = 500;
const part = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

/** Throws `Problem('invalid')`. */
export function parseRefName(ref: string): ParsedRef {
  const parts = ref.split('/');
  const [type, first = '', arch = '', branch = ''] = parts;
  const isGood = parts.slice(1).every((text) => part.test(text));
  if (type === 'screenshots' && parts.length === 2 && isGood) return { type, arch: first };
  if ((type === 'app' || type === 'runtime') && parts.length === 4 && isGood)
    return { type, name: first, arch, branch };
  throw invalid('ref', [{ field: 'ref', expected: 'app/<name>/<arch>/<branch>, runtime/… or screenshots/<arch>' }]);
}

/** The app of a ref's name: that of the name itself, or of one that it begins with: `org.example.Hello.Locale`. */
export async function findAppOfRef(records: ApiPorts['records'], ref: string): Promise<AppRecord | undefined> {
  const { name } = parseRefName(ref);
  if (name === undefined) return undefined;
  const parts = name.split('.');
  for (let length = parts.length; length > 0; length -= 1) {
    const found = await findAppNamed(records, parts.slice(0, length).join('.'));
    if (found) return found;
  }
  return undefined;
}

export type NewRef = {
  readonly ref: string;
  readonly commit: string;
  readonly kind?: ArtifactKind | undefined;
  readonly buildLogUrl?: string | null | undefined;
};

/**
 * Says what a build holds: a name, and the commit, manifest or bundle it stands for; the same name again replaces it. A
 * build without an app becomes its first ref's. Throws `Problem('invalid')` for a name that is none, or another app's.
 */
export async function putRef(
  ports: Pick<ApiPorts, 'records' | 'policy'>,
  id: number,
  wanted: NewRef,
): Promise<{ build: UploadBuild; ref: BuildRef }> {
  const { records } = ports;
  const before = await getUpload(records, id);
  const app = await appForRef(records, before, wanted.ref);
  const ref: BuildRef = {
    id: numberOf(`${id}/${wanted.ref}`),
    ref: wanted.ref,
    commit: wanted.commit,
    buildLogUrl: wanted.buildLogUrl ?? null,
    ...(wanted.kind ? { kind: wanted.kind } : {}),
  };
  const bytes = before.app === undefined ? before.uploaded.bytes : 0;
  const build = await countedFor(ports, { app: app.id, bytes }, async () => {
    return await changeUpload(records, id, (found) => {
      requireUploading(found);
      refuseOtherApp(found.app, app.id);
      const refs = [...found.refs.filter((other) => other.ref !== ref.ref), ref];
      if (refs.length > mostRefs) throw new Problem('too-large', `A build has at most ${mostRefs} refs`);
      return { ...found, refs, app: app.id, appId: outsideName(app) };
    });
  });
  return { build, ref };
}

/** What was sent before the build was of an app counts for the app that it comes to be of. */
async function countedFor<T>(
  { records, policy: { limits } }: Pick<ApiPorts, 'records' | 'policy'>,
  { app, bytes }: { readonly app: string; readonly bytes: number },
  change: () => Promise<T>,
): Promise<T> {
  if (bytes === 0) return await change();
  await countBytes(records, app, { bytes, check: (sum) => checkAppSize(app, sum, limits) });
  try {
    return await change();
  } catch (error) {
    await countBytes(records, app, { bytes: -bytes });
    throw error;
  }
}

async function appForRef(records: ApiPorts['records'], build: UploadBuild, ref: string): Promise<AppRecord> {
  const named = (await findAppOfRef(records, ref)) ?? (build.app ? await findAppNamed(records, build.app) : undefined);
  if (!named) throw new Problem('not-found', `There is no app that the ref ${ref} could be of`);
  const { name } = parseRefName(ref);
  if (name !== undefined && !isWithin(name, named)) {
    throw invalid('ref', [{ field: 'ref', expected: `a name of the build's app: ${outsideName(named)}` }]);
  }
  refuseOtherApp(build.app, named.id);
  if (build.app === undefined) buildableEnvironment(named, build.repo);
  return named;
}

function isWithin(name: string, app: AppRecord): boolean {
  return [app.id, outsideName(app)].some((own) => name === own || name.startsWith(`${own}.`));
}

function refuseOtherApp(app: string | undefined, other: string): void {
  if (app === undefined || app === other) return;
  throw invalid('ref', [{ field: 'ref', expected: `a name of the build's app: ${app}` }]);
}

/** More ids that a build provides; each once. Throws `Problem('invalid')`. */
export async function addExtraIds(
  { records }: Pick<ApiPorts, 'records'>,
  id: number,
  ids: readonly string[],
): Promise<UploadBuild> {
  for (const [index, extra] of ids.entries()) {
    const isGood = extra.length <= 255 && extra.split('.').every((element) => /^[\p{L}\p{N}_-]+$/u.test(element));
    if (!isGood) throw invalid('list of ids', [{ field: `ids[${index}]`, expected: 'a dotted name' }]);
  }
  return await changeUpload(records, id, (build) => {
    requireUploading(build);
    const extraIds = [...new Set([...build.extraIds, ...ids])];
    if (extraIds.length > mostRefs) throw new Problem('too-large', `A build has at most ${mostRefs} extra ids`);
    return extraIds.length === build.extraIds.length ? undefined : { ...build, extraIds };
  });
}
