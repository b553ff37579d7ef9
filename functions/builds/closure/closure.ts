import type { Objects } from '../../ports/objects.ts';
import type { Entry } from '../contents.ts';
import type { Presence } from '../present.ts';
import type { ArtifactKind, BuildRef } from '../upload-build.ts';
import { assembleIndex, blobName, isImage, walkImage, type Descriptor } from './image.ts';
import { commitOfDelta, walkCommit } from './ostree.ts';
import { startWalk, type ClosureIssue, type Walk } from './walk.ts';

/** All that a build's refs stand for, or what is wrong with it. */
export type Closure = {
  readonly kind: ArtifactKind | undefined;
  /** What the artifact is named by: of an image its manifest or index; undefined for OSTree, which its list of objects names. */
  readonly main?: Entry | undefined;
  /** Several images are one, by an index that is made here. */
  readonly index?: Buffer;
  readonly entries: ReadonlyMap<string, Entry>;
  /** Objects that were put into the build, and that nothing in it names. */
  readonly strays: readonly string[];
  readonly issues: readonly ClosureIssue[];
};

/** Walks through everything the refs of a build stand for; reads what is stored and changes nothing. */
export async function closureOf(
  objects: Pick<Objects, 'read'>,
  build: { readonly refs: readonly BuildRef[] },
  presence: Pick<Presence, 'own' | 'published'>,
): Promise<Closure> {
  const walk = startWalk(objects, presence);
  const kinds = new Set<ArtifactKind>();
  const images: Descriptor[] = [];
  const bundles: Entry[] = [];
  const walked = new Set<string>();
  for (const ref of build.refs) {
    const kind = await kindOf(walk, ref);
    if (kind) kinds.add(kind);
    if (walked.has(ref.commit)) continue;
    walked.add(ref.commit);
    if (kind === 'ostree') await walkCommit(walk, ref.commit);
    if (kind === 'image') images.push(...listed(await walkImage(walk, `sha256:${ref.commit}`)));
    if (kind === 'bundle') bundles.push(...listed(walk.visit(blobName(`sha256:${ref.commit}`))));
  }
  const [kind] = kinds;
  if (kinds.size > 1) walk.refuse('the build', `holds ${[...kinds].sort().join(' and ')}: a build is of one kind`);
  if (new Set(bundles.map(({ digest }) => digest)).size > 1) walk.refuse('the build', 'holds more than one bundle');
  return {
    kind,
    ...mainOf(images, bundles),
    entries: walk.visited,
    strays: strays(walk, build.refs, presence),
    issues: walk.issues,
  };
}

/** By what lies under the ref's commit; noted where nothing does, or another kind than was said. */
async function kindOf(walk: Walk, { ref, commit, kind: said }: BuildRef): Promise<ArtifactKind | undefined> {
  if (walk.isThere(`${commit}.commit`)) return agreed(walk, { ref, said, found: 'ostree' });
  const name = `${commit}.blob`;
  if (!walk.isThere(name)) {
    walk.visit(said === 'ostree' ? `${commit}.commit` : name);
    return undefined;
  }
  const entry = walk.visit(name);
  const head = entry && (await walk.head(name, entry));
  if (!head) return undefined;
  if (head[0] === 0x1f && head[1] === 0x8b) return agreed(walk, { ref, said, found: 'bundle' });
  const bytes = await walk.read(name, entry);
  if (bytes && isImage(bytes)) return agreed(walk, { ref, said, found: 'image' });
  walk.refuse(name, `is what ${ref} stands for, and is neither an image manifest nor a tar.gz archive`);
  return undefined;
}

function agreed(
  walk: Walk,
  { ref, said, found }: { ref: string; said: ArtifactKind | undefined; found: ArtifactKind },
): ArtifactKind {
  if (said && said !== found) walk.refuse(ref, `was said to be of the kind ${said}, and is of the kind ${found}`);
  return found;
}

function mainOf(images: readonly Descriptor[], bundles: readonly Entry[]): Pick<Closure, 'main' | 'index'> {
  const [bundle] = bundles;
  if (bundle) return { main: bundle };
  const distinct = [...new Map(images.map((image) => [image.digest, image])).values()];
  const [only] = distinct;
  if (!only) return {};
  if (distinct.length === 1) return { main: { digest: only.digest, sizeBytes: only.size } };
  return { index: assembleIndex(distinct) };
}

/** A delta belongs to the commit that it leads to. */
function strays(walk: Walk, refs: readonly BuildRef[], { own }: Pick<Presence, 'own'>): readonly string[] {
  const commits = new Set(refs.map(({ commit }) => commit));
  return [...own.stored.keys()].filter((name) => {
    if (walk.visited.has(name)) return false;
    const to = commitOfDelta(name);
    if (to === undefined || !commits.has(to)) return true;
    walk.visit(name);
    return false;
  });
}

function listed<T>(value: T | undefined): readonly T[] {
  return value === undefined ? [] : [value];
}
