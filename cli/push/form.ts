import { randomUUID } from 'node:crypto';
import type { RawBody } from '../client.ts';

/**
 * Files as `multipart/form-data`. Not by `FormData`: fetch reads one behind our back, and a request that is aborted
 * meanwhile ends the whole process (ERR_INVALID_STATE, Node 24.21). Names are those of objects, which need no quoting.
 */
export function formOf(files: readonly { readonly name: string; readonly bytes: Uint8Array }[]): RawBody {
  const boundary = `sluice-${randomUUID()}`;
  const pieces = files.flatMap(({ name, bytes }, index) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="file${index}"; filename="${name}"\r\n` +
        'Content-Type: application/octet-stream\r\n\r\n',
    ),
    bytes,
    Buffer.from('\r\n'),
  ]);
  const bytes = Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]);
  return { contentType: `multipart/form-data; boundary=${boundary}`, bytes };
}
