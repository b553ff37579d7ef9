import { createHash } from 'node:crypto';
import { WrongUse } from '../failures.ts';
import {
  configSchema,
  indexSchema,
  manifestSchema,
  parseDocument,
  type Descriptor,
  type ImageConfig,
} from './image-documents.ts';
import { parseJson, readJson, readSmall, type LayoutFiles } from './layout-files.ts';
import { refName, type Naming, type Package, type PushObject, type PushRef } from './package.ts';

/**
 * The image of an OCI layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md), pushed as it is,
 * so that its digest stays: an index whole with all its platforms, else a ref for each platform there is.
 * Throws `WrongUse` when it lacks something, or holds several images.
 */
export async function ociLayout(files: LayoutFiles, naming: Naming): Promise<Package> {
  const top = parseDocument(indexSchema, await readJson(files, 'index.json'), `index.json of ${files.what}`);
  const roots = [...new Map(top.manifests.map((each) => [each.digest, each])).values()];
  const [only] = roots;
  if (only === undefined) throw new WrongUse(`${files.what} holds no image.`);
  const node = await readNode(files, only);
  if (roots.length === 1 && node.kind === 'index') return await ofIndex(files, { index: node, naming });
  const nodes = await Promise.all(roots.map(async (root) => await readNode(files, root)));
  const manifests = nodes.filter((each) => each.kind === 'manifest').filter(({ isAttestation }) => !isAttestation);
  const hasIndex = nodes.some(({ kind }) => kind === 'index');
  if (manifests.length === 0 || hasIndex || hasTwins(manifests)) throw severalImages(files.what, roots);
  return await ofManifests(files, { manifests, naming, notes: [] });
}

type Blob = { readonly object: PushObject; readonly descriptor: Descriptor };
type Manifest = Blob & {
  readonly kind: 'manifest';
  readonly parts: readonly Descriptor[];
  readonly arch: string;
  /** Runs nowhere: it tells of other manifests (https://docs.docker.com/build/metadata/attestations/). */
  readonly isAttestation: boolean;
};
type Index = Blob & { readonly kind: 'index'; readonly children: readonly Descriptor[] };

async function readNode(files: LayoutFiles, descriptor: Descriptor): Promise<Manifest | Index> {
  const object = await blob(files, descriptor);
  const bytes = await documentBytes(files, descriptor);
  const json = parseJson(bytes, descriptor.digest);
  if (typeof json === 'object' && json !== null && 'manifests' in json) {
    const { manifests } = parseDocument(indexSchema, json, descriptor.digest);
    return { kind: 'index', object, descriptor, children: manifests };
  }
  const { config, layers } = parseDocument(manifestSchema, json, descriptor.digest);
  const isAttestation = descriptor.platform?.os === 'unknown';
  const arch = isAttestation ? 'unknown' : await archOf(files, config, descriptor);
  return { kind: 'manifest', object, descriptor, parts: [config, ...layers], arch, isAttestation };
}

async function ofIndex(files: LayoutFiles, { index, naming }: { index: Index; naming: Naming }): Promise<Package> {
  const present: Manifest[] = [];
  const absent: string[] = [];
  for (const child of index.children) {
    // What `docker save` writes of an image for many platforms may hold the one of this machine alone.
    if ((await files.find(pathOf(child.digest))) === undefined) absent.push(platformText(child));
    else {
      const node = await readNode(files, child);
      if (node.kind === 'index') throw new WrongUse(`${files.what} holds an index within an index.`);
      present.push(node);
    }
  }
  const runnable = present.filter(({ isAttestation }) => !isAttestation);
  if (runnable.length === 0) throw new WrongUse(`${files.what} holds no image that runs anywhere.`);
  if (absent.length > 0) {
    const notes = [`Not in ${files.what}, and so left out: ${absent.join(', ')}.`];
    return await ofManifests(files, { manifests: runnable, naming, notes });
  }
  const parts = await Promise.all(present.map(async (each) => await objectsOf(files, each)));
  const [first] = runnable;
  const arch = runnable.length === 1 && first ? first.arch : 'any';
  const refs = [{ ref: refName(naming, arch), commit: hexOf(index.descriptor) }];
  return packageOf({ objects: [index.object, ...parts.flat()], refs, notes: [] });
}

async function ofManifests(
  files: LayoutFiles,
  { manifests, naming, notes }: { manifests: readonly Manifest[]; naming: Naming; notes: readonly string[] },
): Promise<Package> {
  const objects = await Promise.all(manifests.map(async (each) => await objectsOf(files, each)));
  const refs = manifests.map(({ arch, descriptor }) => ({ ref: refName(naming, arch), commit: hexOf(descriptor) }));
  return packageOf({ objects: objects.flat(), refs, notes });
}

function packageOf({
  objects,
  refs,
  notes,
}: {
  objects: readonly PushObject[];
  refs: readonly PushRef[];
  notes: readonly string[];
}): Package {
  const unique = [...new Map(objects.map((object) => [object.name, object])).values()];
  return { kind: 'image', objects: unique, refs, notes, close: async () => {} };
}

async function objectsOf(files: LayoutFiles, { object, parts }: Manifest): Promise<readonly PushObject[]> {
  return [object, ...(await Promise.all(parts.map(async (part) => await blob(files, part))))];
}

async function blob(files: LayoutFiles, { digest, size }: Descriptor): Promise<PushObject> {
  const file = await files.find(pathOf(digest));
  if (file === undefined) throw new WrongUse(`${files.what} lacks ${digest}.`);
  if (file.sizeBytes !== size) {
    throw new WrongUse(`${digest} of ${files.what} has ${file.sizeBytes} bytes, not the ${size} it should have.`);
  }
  const sha256 = digest.slice('sha256:'.length);
  return { name: `${sha256}.blob`, sizeBytes: size, sha256, source: file.source, label: digest };
}

/** The bytes of a manifest, index or configuration, compared with its digest: what they say is acted on. */
async function documentBytes(files: LayoutFiles, { digest }: Descriptor): Promise<Buffer> {
  const file = await files.find(pathOf(digest));
  if (file === undefined) throw new WrongUse(`${files.what} lacks ${digest}.`);
  const bytes = await readSmall(file, `${digest} of ${files.what}`);
  if (`sha256:${createHash('sha256').update(bytes).digest('hex')}` === digest) return bytes;
  throw new WrongUse(`${digest} of ${files.what} has other bytes than its name says.`);
}

async function archOf(files: LayoutFiles, config: Descriptor, { platform }: Descriptor): Promise<string> {
  const json = parseJson(await documentBytes(files, config), config.digest);
  return archText(platform ?? parseDocument(configSchema, json, config.digest));
}

/** `amd64`, `arm64`; of 32-bit ARM the variants differ too much to share a name. */
export function archText({ architecture, variant }: Pick<ImageConfig, 'architecture' | 'variant'>): string {
  return architecture === 'arm' && variant !== undefined && variant !== '' ? `arm-${variant}` : architecture;
}

function hasTwins(manifests: readonly Manifest[]): boolean {
  return new Set(manifests.map(({ arch }) => arch)).size < manifests.length;
}

function severalImages(what: string, roots: readonly Descriptor[]): WrongUse {
  const names = roots.map(({ annotations, digest }) => annotations['io.containerd.image.name'] ?? digest);
  return new WrongUse(`${what} holds ${roots.length} images: ${names.join(', ')}.`, {
    hint: 'A build takes one; save or copy that one alone.',
  });
}

function platformText({ platform, digest }: Descriptor): string {
  return platform === undefined ? digest : `${platform.os}/${archText(platform)}`;
}

const pathOf = (digest: string) => `blobs/${digest.replace(':', '/')}`;
const hexOf = ({ digest }: Descriptor) => digest.slice('sha256:'.length);
