import { open, type FileHandle } from 'node:fs/promises';
import { posix } from 'node:path';
import { WrongUse } from '../failures.ts';

/** Where the bytes of a file lie in an archive. */
export type TarEntry = { readonly offsetBytes: number; readonly sizeBytes: number };

/** The files of an archive by name; links lead to the file that they name. */
export type TarIndex = { readonly find: (name: string) => TarEntry | undefined; readonly names: readonly string[] };

/**
 * Reads where each file of a tar lies without reading the files: an archive larger than the memory is no matter, and
 * ranges of it can be sent as they are. Knows ustar, pax and GNU's long names, which is all that image tools write
 * (https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html). Throws `WrongUse` for what is no tar.
 */
export async function indexTar(file: string): Promise<TarIndex> {
  const handle = await open(file, 'r');
  try {
    return lookup(await readEntries(handle, file));
  } finally {
    await handle.close();
  }
}

type Entries = { readonly files: Map<string, TarEntry>; readonly links: Map<string, string> };

const blockBytes = 512;
const mostEntries = 250_000;
const mostNameBytes = 1024 ** 2;

async function readEntries(handle: FileHandle, file: string): Promise<Entries> {
  const entries: Entries = { files: new Map(), links: new Map() };
  const { size: archiveBytes } = await handle.stat();
  let said: Said = {};
  let count = 0;
  for (let offset = 0; offset + blockBytes <= archiveBytes;) {
    const header = parseHeader(await readAt(handle, { offsetBytes: offset, sizeBytes: blockBytes }), file);
    if (header === undefined) break;
    const isData = !['x', 'L', 'K', 'g'].includes(header.type);
    const sizeBytes = soundSize((isData ? said.sizeBytes : undefined) ?? header.sizeBytes, file);
    const at = { offsetBytes: offset + blockBytes, sizeBytes };
    if (at.offsetBytes + sizeBytes > archiveBytes) throw new WrongUse(`${file} ends within a file: it is not whole.`);
    if (++count > mostEntries) throw new WrongUse(`${file} holds more than ${mostEntries} files.`);
    if (isData) {
      remember(entries, { ...header, ...said, at });
      said = {};
    } else said = { ...said, ...(await readSaid(handle, header.type, at)) };
    offset = at.offsetBytes + Math.ceil(sizeBytes / blockBytes) * blockBytes;
  }
  if (count === 0) throw notTar(file);
  return entries;
}

/** What an entry says of the one after it. */
type Said = { readonly name?: string; readonly link?: string; readonly sizeBytes?: number };

function remember(
  { files, links }: Entries,
  { name, link, type, at }: { name: string; link: string; type: string; at: TarEntry },
): void {
  const path = posix.normalize(name);
  if (type === '0' || type === '\0' || type === '7') files.set(path, at);
  // Layers that are the same are one file and links in what older engines save.
  if (type === '1') links.set(path, posix.normalize(link));
  if (type === '2') links.set(path, posix.join(posix.dirname(path), link));
}

function lookup({ files, links }: Entries): TarIndex {
  return {
    names: [...files.keys()],
    find: (name) => {
      const path = posix.normalize(name);
      return files.get(path) ?? files.get(links.get(path) ?? '');
    },
  };
}

type Header = { readonly name: string; readonly link: string; readonly type: string; readonly sizeBytes: number };

/** Undefined for the empty block at an archive's end. */
function parseHeader(block: Buffer, file: string): Header | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const sum = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  if (sum !== octal(block.subarray(148, 156))) throw notTar(file);
  const name = text(block.subarray(0, 100));
  const prefix = text(block.subarray(257, 263)) === 'ustar' ? text(block.subarray(345, 500)) : '';
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    link: text(block.subarray(157, 257)),
    type: String.fromCharCode(block[156] ?? 0),
    sizeBytes: sizeOf(block.subarray(124, 136), file),
  };
}

/** Octal digits or, from 8 GiB on, GNU's big-endian number. */
function sizeOf(field: Buffer, file: string): number {
  const size = (field[0] ?? 0) & 0x80 ? Number(field.readBigUInt64BE(4)) : octal(field);
  return soundSize(size, file);
}

function soundSize(size: number, file: string): number {
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw notTar(file);
}

function octal(field: Buffer): number {
  const digits = text(field).trim();
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function text(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? field.length : end);
}

async function readSaid(handle: FileHandle, type: string, at: TarEntry): Promise<Said> {
  if (type === 'g') return {};
  if (at.sizeBytes > mostNameBytes) throw new WrongUse('The archive names a file in more than a mebibyte.');
  const bytes = await readAt(handle, at);
  if (type === 'L') return { name: text(bytes) };
  if (type === 'K') return { link: text(bytes) };
  const records = paxRecords(bytes);
  const [name, link, size] = [records.get('path'), records.get('linkpath'), records.get('size')];
  return {
    ...(name === undefined ? {} : { name }),
    ...(link === undefined ? {} : { link }),
    ...(size === undefined ? {} : { sizeBytes: Number(size) }),
  };
}

/** `<length> <key>=<value>\n`, the length being that of the whole record in bytes. */
function paxRecords(bytes: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (let offset = 0; offset < bytes.length;) {
    const blank = bytes.indexOf(0x20, offset);
    const length = blank === -1 ? 0 : Number(bytes.toString('ascii', offset, blank));
    if (!(length > 0)) break;
    const record = bytes.toString('utf8', blank + 1, offset + length - 1);
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    offset += length;
  }
  return records;
}

async function readAt(handle: FileHandle, { offsetBytes, sizeBytes }: TarEntry): Promise<Buffer> {
  const buffer = Buffer.alloc(sizeBytes);
  const { bytesRead } = await handle.read(buffer, 0, sizeBytes, offsetBytes);
  return buffer.subarray(0, bytesRead);
}

function notTar(file: string): WrongUse {
  return new WrongUse(`${file} is no tar archive.`);
}
