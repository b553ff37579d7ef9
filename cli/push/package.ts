import { createHash } from 'node:crypto';
import { WrongUse } from '../failures.ts';
import { chunksOf, type ByteSource } from './byte-source.ts';

/** One thing to be stored on the server, under the name that the builds service has for it. */
export type PushObject = {
  /** `<64 hex>.blob`, `<64 hex>.commit` and the like. */
  readonly name: string;
  readonly sizeBytes: number;
  /** The sha256 of its bytes in hex, where its name tells it or it was read. */
  readonly sha256: string | undefined;
  readonly source: ByteSource;
  /** What it is called where it comes from, for messages. */
  readonly label: string;
};

export type PushRef = { readonly ref: string; readonly commit: string };

/** What to call things in refs: `app/<name>/<arch>/<branch>`. */
export type Naming = { readonly name: string; readonly branch: string };

export type PackageKind = 'image' | 'bundle' | 'ostree';

/** Something that was found on the disk, ready to be pushed. */
export type Package = {
  readonly kind: PackageKind;
  readonly objects: readonly PushObject[];
  readonly refs: readonly PushRef[];
  /** What a person should know: something that was left out. */
  readonly notes: readonly string[];
  /** Removes what was made for it. */
  readonly close: () => Promise<void>;
};

/** What is smaller than this is sent whole, several together; the rest in parts. */
export const smallBytes = 1024 ** 2;

/** A blob of bytes that were made here. */
export function madeBlob(bytes: Uint8Array, label: string): PushObject {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { name: `${sha256}.blob`, sizeBytes: bytes.byteLength, sha256, source: { bytes }, label };
}

/** Reads it whole to know its digest. */
export async function sha256Of(source: ByteSource, sizeBytes: number): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(source, sizeBytes)) hash.update(chunk);
  return hash.digest('hex');
}

/** A ref's name; throws `WrongUse` for what cannot be one. */
export function refName({ name, branch }: Naming, arch: string): string {
  for (const [what, text] of Object.entries({ name, architecture: arch, branch })) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/.test(text))
      throw new WrongUse(`"${text}" cannot be the ${what} in a ref.`);
  }
  return `app/${name}/${arch}/${branch}`;
}
