import { createHash } from 'node:crypto';
import { createInflateRaw, type InflateRaw } from 'node:zlib';
import { messageOf, Problem } from '../../runtime/errors.ts';
import { filezHeaderBytes, filezStartBytes, parseFilezHeader, type FilezHeader } from './filez-header.ts';

/** Takes the bytes of a `.filez` one after the other, and tells the checksum that OSTree names it by. */
export type FilezChecksum = {
  /** Resolves when the bytes are unpacked; throws `Problem('invalid')` as soon as they are no `.filez`. */
  update(chunk: Uint8Array): Promise<void>;
  /** In hex digits; throws `Problem('invalid')` when the bytes break off. */
  end(): Promise<string>;
  /** For whoever stops before the end. */
  close(): void;
};

/**
 * The name is the SHA-256 of the header without the content's size, and of the content unpacked: what is unpacked is
 * counted and forgotten, so memory is bounded, and more than the header says ends it.
 * Checked on what libostree writes; its own words for it: `ostree_content_stream_parse` and `ostree_checksum_file_from_input`.
 */
export function filezChecksum(): FilezChecksum {
  const hash = createHash('sha256');
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  let needed = filezStartBytes;
  let header: FilezHeader | undefined;
  let content: Unpacking | undefined;

  /** Keeps bytes until the header is whole; answers with what follows it. */
  function begin(chunk: Uint8Array): Buffer | undefined {
    held.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes < needed) return undefined;
    const bytes = Buffer.concat(held.splice(0));
    needed = filezStartBytes + filezHeaderBytes(bytes);
    held.push(bytes);
    if (heldBytes < needed) return undefined;
    header = parseFilezHeader(bytes.subarray(filezStartBytes, needed));
    hash.update(header.prefix);
    if (header.kind === 'file') content = unpacking(header.sizeBytes, (bytes) => hash.update(bytes));
    return bytes.subarray(needed);
  }

  return {
    async update(chunk) {
      const rest = header ? chunk : begin(chunk);
      if (rest === undefined || rest.length === 0) return;
      if (!content) throw new Problem('invalid', 'something follows the header of a symbolic link');
      await content.update(rest);
    },
    async end() {
      if (!header) throw new Problem('invalid', 'it ends within its header');
      await content?.end();
      return hash.digest('hex');
    },
    close: () => content?.close(),
  };
}

type Unpacking = { update(chunk: Uint8Array): Promise<void>; end(): Promise<void>; close(): void };

function unpacking(sizeBytes: number, take: (bytes: Buffer) => void): Unpacking {
  const inflate = createInflateRaw({ chunkSize: 64 * 1024 });
  let given = 0;
  let unpacked = 0;
  let failure: Problem | undefined;
  const fail = (problem: Problem): void => {
    failure ??= problem;
    inflate.destroy();
  };
  inflate.on('data', (bytes: Buffer) => {
    unpacked += bytes.length;
    if (unpacked > sizeBytes)
      fail(new Problem('invalid', `it unpacks to more than the ${sizeBytes} bytes that it says`));
    else take(bytes);
  });
  inflate.on('error', (error) => fail(new Problem('invalid', `it cannot be unpacked: ${messageOf(error)}`)));

  return {
    async update(chunk) {
      given += chunk.length;
      await settled(inflate, (done) => inflate.write(chunk, done));
      if (failure) throw failure;
      if (takenBy(inflate) < given) throw new Problem('invalid', 'something follows its content');
    },
    async end() {
      await settled(inflate, (done) => inflate.once('end', done).end());
      if (failure) throw failure;
      if (unpacked < sizeBytes)
        throw new Problem('invalid', `it unpacks to ${unpacked} bytes and not to the ${sizeBytes} that it says`);
    },
    close: () => inflate.destroy(),
  };
}

/** What was packed in fewer bytes than were given leaves the rest of them alone. */
function takenBy(inflate: InflateRaw): number {
  return inflate.bytesWritten;
}

/** A stream that breaks does not call back for what it was at: it closes. What went wrong its error has said. */
async function settled(inflate: InflateRaw, start: (done: () => void) => void): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      inflate.off('close', done);
      resolve();
    };
    inflate.on('close', done);
    start(done);
  });
}
