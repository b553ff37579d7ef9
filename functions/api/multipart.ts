import { Problem } from '../runtime/errors.ts';
import { chunksOf } from './body.ts';
import { byteSource, type ByteSource } from './multipart-source.ts';
import { parameterValue } from './parameters.ts';

export type MultipartLimits = {
  readonly maxParts: number;
  /** Of the header of one part; default 16 KiB. */
  readonly maxHeaderBytes?: number;
};

export type Part = {
  /** Counted from 0. */
  readonly index: number;
  readonly filename: string;
  /** To be read before the next part is asked for; what is not read is passed over. */
  readonly body: AsyncIterable<Uint8Array>;
};

const crlf = Buffer.from('\r\n');
const mostHeaderBytes = 16 * 1024;

/**
 * The parts of a `multipart/mixed` or `multipart/form-data` body, one after the other, as they come in: a chunk is read
 * when the one before was taken, and no more is held. Whoever stops before the end cancels the body.
 * Throws `Problem('unsupported-media-type')` for another type, `Problem('too-large')` past the limits, and
 * `Problem('invalid')` for a body that breaks a rule of RFC 2046 (section 5.1) or breaks off, and for a part without a
 * file name; each names the part by its number, from 1. Why no library does it: docs/adr/0015.
 */
export async function* parts(
  body: ReadableStream<Uint8Array> | null,
  contentType: string,
  { maxParts, maxHeaderBytes = mostHeaderBytes }: MultipartLimits,
): AsyncGenerator<Part> {
  const delimiter = Buffer.from(`\r\n--${boundaryOf(contentType)}`);
  const chunks = chunksOf(body);
  try {
    // The first delimiter may stand at the very beginning, without the line break before it.
    const source = byteSource(chunks, crlf);
    const preamble = await source.until(delimiter, maxHeaderBytes);
    if (!preamble)
      throw new Problem('invalid', 'The body does not begin with the boundary that its content type names');
    for (let index = 0; await hasPart(source, { index, maxHeaderBytes }); index += 1) {
      if (index >= maxParts) throw new Problem('too-large', `The body has more than ${maxParts} parts`);
      const { filename, sizeBytes } = await partHeader(source, { index, maxHeaderBytes });
      const content = partBody(source, delimiter, { index, filename, sizeBytes });
      yield { index, filename, body: leavable(content) };
      while (!(await content.next()).done);
    }
    // What follows means nothing, and a client that goes on sending would wait for us to take it.
    await source.until(delimiter, maxHeaderBytes);
  } finally {
    await chunks.return(undefined);
  }
}

type PartAt = { readonly index: number; readonly maxHeaderBytes: number };

/** After a delimiter: two dashes end the body, a line break begins a part. Padding may stand before either. */
async function hasPart(source: ByteSource, { index, maxHeaderBytes }: PartAt): Promise<boolean> {
  const next = await source.take(2);
  if (next.equals(Buffer.from('--'))) return false;
  if (next.equals(crlf)) return true;
  const line = await source.until(crlf, maxHeaderBytes);
  if (line && /^[ \t]*$/.test(next.toString('latin1') + line.toString('latin1'))) return true;
  const what = line ? 'neither a line break nor two dashes' : 'nothing';
  throw new Problem('invalid', `After the boundary before part ${index + 1} of the body comes ${what}`);
}

type PartHeader = { readonly filename: string; readonly sizeBytes: number | undefined };

async function partHeader(source: ByteSource, at: PartAt): Promise<PartHeader> {
  const { index } = at;
  const fields = await fieldsOf(source, at);
  const disposition = fields.get('content-disposition');
  const filename = disposition === undefined ? undefined : filenameOf(disposition);
  if (filename === undefined || filename === '')
    throw wrong(index, 'has no file name: Content-Disposition must give it');
  for (const name of ['content-transfer-encoding', 'content-encoding']) {
    const encoding = (fields.get(name) ?? 'identity').toLowerCase();
    if (!['identity', 'binary', '8bit', '7bit'].includes(encoding))
      throw wrong(index, `(${filename}) is encoded (${name}); it must come as it is`);
  }
  const length = fields.get('content-length');
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw wrong(index, 'has a malformed header');
  return { filename, sizeBytes: length === undefined ? undefined : Number(length) };
}

/** The fields up to the empty line, by names in lower case. */
async function fieldsOf(source: ByteSource, { index, maxHeaderBytes }: PartAt): Promise<ReadonlyMap<string, string>> {
  const fields = new Map<string, string>();
  let left = maxHeaderBytes;
  let last = '';
  for (;;) {
    const line = await source.until(crlf, left);
    if (!line) throw wrong(index, `has a header that does not end within ${maxHeaderBytes / 1024} KiB`);
    if (line.length === 0) return fields;
    left -= line.length;
    const text = line.toString('utf8');
    // A line that begins with a space goes on with the one before (RFC 5322, section 2.2.3).
    const goesOn = /^[ \t]/.test(text) && fields.has(last);
    const colon = goesOn ? -1 : text.indexOf(':');
    const name = goesOn ? last : text.slice(0, Math.max(0, colon)).toLowerCase();
    if (!fieldName.test(name) || fields.has(name) !== goesOn || unprintable.test(text))
      throw wrong(index, 'has a malformed header');
    fields.set(name, `${fields.get(name) ?? ''} ${text.slice(colon + 1).trim()}`.trim());
    last = name;
  }
}

const fieldName = /^[!#$%&'*+\-.^`|~\w]+$/;
// oxlint-disable-next-line no-control-regex
const unprintable = /[\r\n\0]/;

/** Whatever the disposition is called: one client says `attachment`, another `form-data`. */
function filenameOf(disposition: string): string | undefined {
  const { parameters } = parameterValue(disposition);
  // RFC 8187, which some clients take for names with letters beyond ASCII.
  const extended = /^utf-8'[^']*'(.*)$/i.exec(parameters?.get('filename*') ?? '')?.[1];
  if (extended === undefined) return parameters?.get('filename');
  try {
    return decodeURIComponent(extended);
  } catch {
    return undefined;
  }
}

/** Ends with the part; throws when the body ends before, or when the part is not as long as its header says. */
async function* partBody(
  source: ByteSource,
  delimiter: Buffer,
  part: PartHeader & { index: number },
): AsyncGenerator<Uint8Array> {
  const { index, filename, sizeBytes } = part;
  const pieces = source.streamUntil(delimiter);
  let size = 0;
  for (;;) {
    const { done, value } = await pieces.next();
    if (done && !value) throw wrong(index, `(${filename}) breaks off: the body ends before the boundary behind it`);
    if (done) break;
    size += value.length;
    yield value;
  }
  if (sizeBytes !== undefined && size !== sizeBytes)
    throw wrong(index, `(${filename}) has ${size} bytes, and its header says ${sizeBytes}`);
}

/** Whoever stops in the middle of a part leaves the rest of it, which is still to be passed over. */
async function* leavable(content: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { done, value } = await content.next();
    if (done) return;
    yield value;
  }
}

/** RFC 2046, section 5.1.1: 1 to 70 of these characters, the last of them no space. */
const boundaryPattern = /^[\w'()+,\-./:=? ]{0,69}[\w'()+,\-./:=?]$/;

function boundaryOf(contentType: string): string {
  const { type, parameters } = parameterValue(contentType);
  if (type !== 'multipart/mixed' && type !== 'multipart/form-data')
    throw new Problem('unsupported-media-type', 'The body must be multipart/form-data or multipart/mixed');
  const boundary = parameters?.get('boundary');
  if (boundary === undefined || !boundaryPattern.test(boundary))
    throw new Problem('invalid', 'The content type must give a boundary of 1 to 70 characters');
  return boundary;
}

function wrong(index: number, what: string): Problem {
  return new Problem('invalid', `Part ${index + 1} of the body ${what}`);
}
