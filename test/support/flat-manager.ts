import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';

/** An answer as flat-manager's clients see it. */
export type StockAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly json: Record<string, unknown>;
  readonly text: string;
};

export type StockObject = { readonly name: string; readonly bytes: Uint8Array };

/** The calls that both of flat-manager's clients make, each in its own way. */
export type StockClient = {
  readonly post: (url: string, body: unknown) => Promise<StockAnswer>;
  readonly get: (url: string, body?: unknown) => Promise<StockAnswer>;
  readonly missing: (buildUrl: string, wanted: readonly string[]) => Promise<StockAnswer>;
  readonly upload: (buildUrl: string, objects: readonly StockObject[]) => Promise<StockAnswer>;
};

/**
 * Requests with the header fields of the last Python client (aiohttp 3.8.4), in their order and letters, as they were
 * recorded from it: a GET with a body, objects as `multipart/mixed` with `attachment` and no `name`.
 */
export function pythonClient(token: string): StockClient {
  const always = ['Accept', '*/*', 'Accept-Encoding', 'gzip, deflate', 'User-Agent', 'Python/3.11 aiohttp/3.8.4'];
  const fields = (url: string, first: readonly string[]) => ['Host', new URL(url).host, ...first, ...always];
  const authorization = ['Authorization', `Bearer ${token}`];
  const send = async (method: string, url: string, body?: unknown) => {
    const headers = fields(url, authorization);
    if (body === undefined) return await exchange({ method, url, headers });
    const bytes = Buffer.from(pythonJson(body));
    const described = ['Content-Length', String(bytes.length), 'Content-Type', 'application/json'];
    return await exchange({ method, url, headers: [...headers, ...described], body: bytes });
  };
  return {
    post: async (url, body) => await send('POST', url, body),
    get: async (url, body) => await send('GET', url, body),
    missing: async (buildUrl, wanted) => {
      const url = `${buildUrl}/missing_objects`;
      const body = gzipSync(pythonJson({ wanted }));
      const encoding = ['Content-Encoding', 'gzip', 'Content-Type', 'application/json'];
      const headers = [...fields(url, [...authorization, ...encoding]), 'Content-Length', String(body.length)];
      return await exchange({ method: 'GET', url, headers, body });
    },
    upload: async (buildUrl, objects) => {
      const url = `${buildUrl}/upload`;
      const boundary = randomBytes(16).toString('hex');
      const body = mixed(boundary, objects);
      const type = ['Content-Type', `multipart/mixed; boundary=${boundary}`];
      const headers = [...fields(url, [...type, ...authorization]), 'Content-Length', String(body.length)];
      return await exchange({ method: 'POST', url, headers, body });
    },
  };
}

/** The same as recorded from the client in Rust (0.5.1, reqwest): objects as `multipart/form-data`, `file0` and so on. */
export function rustClient(token: string): StockClient {
  const authorization = ['authorization', `Bearer ${token}`];
  const always = (url: string) => ['accept', '*/*', 'accept-encoding', 'gzip', 'host', new URL(url).host];
  const length = (body: Uint8Array) => ['content-length', String(body.length)];
  const json = ['content-type', 'application/json'];
  const send = async (method: string, url: string, body?: unknown) => {
    if (body === undefined) return await exchange({ method, url, headers: [...authorization, ...always(url)] });
    const bytes = Buffer.from(JSON.stringify(body));
    const headers = [...authorization, ...json, ...always(url), ...length(bytes)];
    return await exchange({ method, url, headers, body: bytes });
  };
  return {
    post: async (url, body) => await send('POST', url, body),
    get: async (url, body) => await send('GET', url, body),
    missing: async (buildUrl, wanted) => {
      const url = `${buildUrl}/missing_objects`;
      const body = gzipSync(JSON.stringify({ wanted }));
      const encoding = ['content-encoding', 'gzip', ...json];
      const headers = [...authorization, ...encoding, ...always(url), ...length(body)];
      return await exchange({ method: 'GET', url, headers, body });
    },
    upload: async (buildUrl, objects) => {
      const url = `${buildUrl}/upload`;
      const boundary = Array.from({ length: 4 }, () => randomBytes(8).toString('hex')).join('-');
      const body = formData(boundary, objects);
      const type = ['content-type', `multipart/form-data; boundary=${boundary}`, ...length(body)];
      return await exchange({ method: 'POST', url, headers: [...authorization, ...type, ...always(url)], body });
    },
  };
}

/** The bytes of objects as aiohttp's `MultipartWriter` writes them. */
export function mixed(boundary: string, objects: readonly StockObject[]): Buffer {
  const parts = objects.flatMap(({ name, bytes }) => [
    Buffer.from(
      `--${boundary}\r\nContent-Type: application/octet-stream\r\n` +
        `Content-Disposition: attachment; filename="${name}"\r\nContent-Length: ${bytes.length}\r\n\r\n`,
    ),
    bytes,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]);
}

/** The same as reqwest's `multipart::Form` does. */
function formData(boundary: string, objects: readonly StockObject[]): Buffer {
  const parts = objects.flatMap(({ name, bytes }, index) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="file${index}"; filename="${name}"\r\n` +
        'Content-Type: application/octet-stream\r\n\r\n',
    ),
    bytes,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]);
}

/** As Python's `json.dumps` puts it: a blank after each comma and colon. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${pythonJson(member)}`);
  return `{${members.join(', ')}}`;
}

type Exchange = {
  readonly method: string;
  readonly url: string;
  /** Names and values in turn, sent just so. */
  readonly headers: readonly string[];
  readonly body?: Uint8Array;
};

export async function exchange({ method, url, headers, body }: Exchange): Promise<StockAnswer> {
  return await new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers: [...headers], setHost: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = /^application\/(?:[\w.+-]+?\+)?json/.test(response.headers['content-type'] ?? '');
        const json = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, json, text });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}
