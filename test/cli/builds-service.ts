import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** A request as it came in; `route` is its method and what is behind the prefix and the build: `POST upload`. */
export type Seen = {
  readonly route: string;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
  /** Counted from 1, by route. */
  readonly count: number;
};

/** What goes wrong with a request. */
export type Fault = {
  /** The connection is cut: before anything is done, or when all is done and only the answer is missing. */
  readonly cut?: 'before' | 'after';
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** The answer comes when this resolves. */
  readonly wait?: Promise<unknown>;
};

/** The builds service as its specification says, in memory, with a storage on a port of its own that knows no token. */
export class BuildsService {
  readonly seen: Seen[] = [];
  readonly objects = new Map<string, Buffer>();
  readonly refs = new Map<string, unknown>();
  /** What is there before anything is pushed: published by an earlier build. */
  readonly published = new Set<string>();
  readonly prefix: string;
  fault: (request: Seen) => Fault | undefined = () => undefined;
  partBytes = 256 * 1024;
  mostParts = 100;
  /** Forgets the bytes of parts, so that much can pass. */
  forgetsParts = false;
  build: Record<string, unknown> = { id: 7, repo: 'dev', app_id: 'web', repo_state: 0, published_state: 0 };

  readonly #parts = new Map<string, { sizeBytes: number; digest: string; parts: Map<number, Buffer> }>();
  readonly #counts = new Map<string, number>();
  readonly #api = createServer((request, response) => void this.#answer('api', request, response));
  readonly #storage = createServer((request, response) => void this.#answer('storage', request, response));

  constructor({ prefix = '' } = {}) {
    this.prefix = prefix;
  }

  get url(): string {
    return `${at(this.#api)}${this.prefix}`;
  }

  async start(): Promise<this> {
    for (const server of [this.#api, this.#storage]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
    return this;
  }

  async close(): Promise<void> {
    for (const server of [this.#api, this.#storage]) {
      server.closeAllConnections();
      await new Promise<unknown>((resolve) => server.close(resolve));
    }
  }

  calls(route: string): readonly Seen[] {
    return this.seen.filter((request) => request.route === route);
  }

  /** How many bytes of objects have come in, those that came twice twice. */
  get receivedBytes(): number {
    const parts = this.calls('PUT part').reduce((sum, { bytes }) => sum + bytes.length, 0);
    return parts + this.calls('POST upload').reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** An object as a commit would find it; throws where it is not there whole, or has other bytes than its digest. */
  object(name: string): Buffer {
    const sent = this.#parts.get(name);
    const whole = sent && Buffer.concat([...sent.parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
    const bytes = this.objects.get(name) ?? whole;
    if (bytes === undefined) throw new Error(`${name} is missing`);
    if (sent && bytes.length !== sent.sizeBytes) throw new Error(`${name} is not whole`);
    const digest = sent?.digest ?? name.slice(0, 64);
    if (/blob|commit|dir/.test(name.slice(64)) && digest !== sha256(bytes)) throw new Error(`${name} is damaged`);
    if (sent && digest !== sha256(bytes)) throw new Error(`${name} is damaged`);
    return bytes;
  }

  has(name: string): boolean {
    try {
      return this.object(name).length >= 0;
    } catch {
      return false;
    }
  }

  async #answer(place: 'api' | 'storage', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const bytes = await bytesOf(request);
    if (bytes === undefined) return;
    const { method = '', url = '', headers } = request;
    const tail = place === 'storage' ? 'part' : url.slice(`${this.prefix}/api/v1/build/7`.length).replace('/', '');
    const route = `${method} ${tail}`.trim();
    const count = (this.#counts.get(route) ?? 0) + 1;
    this.#counts.set(route, count);
    const forgotten = this.forgetsParts && place === 'storage';
    const seen = { route, headers, bytes: forgotten ? Buffer.alloc(0) : bytes, count };
    this.seen.push(seen);
    const fault = this.fault(seen);
    await fault?.wait;
    if (fault?.cut === 'before') return void request.socket.destroy();
    const answer =
      fault?.status === undefined ? await this.#handle(seen, url) : { status: fault.status, body: fault.body };
    if (fault?.cut === 'after') return void request.socket.destroy();
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...fault?.headers });
    response.end(answer.body === undefined ? '' : JSON.stringify(answer.body));
  }

  async #handle({ route, headers, bytes }: Seen, url: string): Promise<{ status?: number; body?: unknown }> {
    if (route === 'PUT part') return this.#put(new URL(url, 'http://storage'), bytes);
    const json = () => JSON.parse((headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString());
    switch (route) {
      case 'GET':
        return { body: this.build };
      case 'QUERY missing_objects':
        return { body: { missing: (json().wanted as string[]).filter((name) => this.#isMissing(name)) } };
      case 'POST upload':
        return { body: await this.#upload(bytes, headers['content-type'] ?? '') };
      case 'POST uploads':
        return { body: { objects: (json().objects as Declared[]).map((object) => this.#declare(object)) } };
      case 'POST build_ref':
        this.refs.set(json().ref as string, json());
        return { body: { id: 1, build_id: 7, ref_name: json().ref, commit: json().commit, build_log_url: null } };
      default:
        return { status: 404, body: refusal(404, 'not-found') };
    }
  }

  /** What is sent in parts is missing until a commit has finished it. */
  #isMissing(name: string): boolean {
    return !this.objects.has(name) && !this.published.has(name);
  }

  async #upload(bytes: Buffer, type: string): Promise<readonly number[]> {
    const form = await new Response(new Uint8Array(bytes), { headers: { 'content-type': type } }).formData();
    const sizes: number[] = [];
    for (const [, file] of form) {
      if (typeof file === 'string') throw new Error('a part without a filename');
      this.objects.set(file.name, Buffer.from(await file.arrayBuffer()));
      sizes.push(file.size);
    }
    return sizes;
  }

  #declare({ name, sizeBytes, digest }: Declared): unknown {
    if (!this.#isMissing(name)) return { name, status: 'stored' };
    const hex = digest?.replace('sha256:', '') ?? name.slice(0, 64);
    const upload = this.#parts.get(name) ?? { sizeBytes, digest: hex, parts: new Map<number, Buffer>() };
    this.#parts.set(name, upload);
    const numbers = Array.from({ length: Math.ceil(sizeBytes / this.partBytes) }, (_, index) => index + 1);
    const missing = numbers.filter((number) => !upload.parts.has(number));
    const parts = missing.slice(0, this.mostParts).map((number) => {
      const offsetBytes = (number - 1) * this.partBytes;
      const url = `${at(this.#storage)}/${name}?part=${number}&signature=secret-signature`;
      const size = Math.min(this.partBytes, sizeBytes - offsetBytes);
      return { number, offsetBytes, sizeBytes: size, url, headers: { 'x-signed': 'yes' } };
    });
    return { name, status: 'open', partCount: numbers.length, missingCount: missing.length, parts };
  }

  #put(url: URL, bytes: Buffer): { status: number } {
    const name = url.pathname.slice(1);
    this.#parts.get(name)?.parts.set(Number(url.searchParams.get('part')), bytes);
    return { status: 200 };
  }
}

type Declared = { readonly name: string; readonly sizeBytes: number; readonly digest?: string };

/** A refusal in the words of the builds service. */
export function refusal(status: number, type: string, more: object = {}): object {
  return { status, 'error-type': type, message: 'It cannot be done', ...more };
}

export const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

const at = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** Undefined when the sender broke off. */
async function bytesOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(Buffer.from(chunk as Uint8Array));
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}
