import { open, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { WrongUse } from '../failures.ts';
import { bundleOfFile, bundleOfFolder } from './bundle.ts';
import { dockerArchive } from './docker-archive.ts';
import { filesOfFolder, filesOfTar, type LayoutFiles } from './layout-files.ts';
import { ociLayout } from './oci-layout.ts';
import { isOstreeRepository, ostreeRepository } from './ostree.ts';
import type { Naming, Package, PackageKind } from './package.ts';

export type Wanted = {
  readonly kind: PackageKind | 'auto';
  readonly naming: Naming;
  /** The refs of an OSTree repository to push; none: all of them. */
  readonly branches: readonly string[];
};

/** Finds out what lies at a path, and what of it is to be pushed. Throws `WrongUse`. */
export async function openPackage(folder: string, path: string, wanted: Wanted): Promise<Package> {
  const place = resolve(folder, path);
  const found = await stat(place).catch((cause: unknown) => {
    throw new WrongUse(`${path} cannot be read: is it there?`, { cause });
  });
  const opened = found.isDirectory() ? await fromFolder(place, wanted) : await fromFile(place, wanted);
  if (wanted.branches.length === 0 || opened.kind === 'ostree') return opened;
  await opened.close();
  throw new WrongUse('--branch is for OSTree repositories; --ref-branch names the branch of an image or a bundle.');
}

async function fromFolder(place: string, { kind, naming, branches }: Wanted): Promise<Package> {
  const files = filesOfFolder(place);
  if (kind === 'image' || (kind === 'auto' && (await isLayout(files)))) return await image(files, naming);
  if (kind === 'ostree' || (kind === 'auto' && (await isOstreeRepository(place)))) {
    return await ostreeRepository(place, branches);
  }
  return await bundleOfFolder(place, naming);
}

async function fromFile(place: string, { kind, naming }: Wanted): Promise<Package> {
  if (kind === 'ostree') throw new WrongUse(`${place} is no OSTree repository: that is a folder.`);
  const gzip = await isGzip(place);
  if (kind === 'bundle') {
    if (gzip) return await bundleOfFile(place, naming);
    throw new WrongUse(`${place} is no bundle: that is a tar.gz, or a folder that becomes one.`);
  }
  if (gzip) {
    throw new WrongUse(`${place} is compressed, so it could be two things.`, {
      hint: 'An image: unpack it first (gunzip). A bundle that is packed already: say --kind bundle.',
    });
  }
  return await image(await filesOfTar(place), naming);
}

async function image(files: LayoutFiles, naming: Naming): Promise<Package> {
  if (await isLayout(files)) return await ociLayout(files, naming);
  if ((await files.find('manifest.json')) !== undefined) return await dockerArchive(files, naming);
  throw new WrongUse(`${files.what} holds no image: neither oci-layout and index.json nor manifest.json are in it.`);
}

async function isLayout(files: LayoutFiles): Promise<boolean> {
  const [marker, index] = await Promise.all([files.find('oci-layout'), files.find('index.json')]);
  return marker !== undefined && index !== undefined;
}

async function isGzip(file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}
