import { setTimeout as pause } from 'node:timers/promises';
import { Problem } from '../../functions/runtime/errors.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import type { ImageBlob } from './image-content.ts';
import type { Registry } from './outside.ts';

export type ManifestBytes = { readonly mediaType: string; readonly bytes: Buffer; readonly digest: Digest };

const attempts = 3;
type Asked = {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Uint8Array> | Uint8Array<ArrayBuffer>;
};

/** Lets the agent into the app's repository. */
export async function enterRegistry({ server, repository, enter }: Registry): Promise<RegistryClient> {
  return registryClient({ server, name: repository.slice(server.length + 1), auth: await enter() });
}

/**
 * Pushes to a registry without an engine: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push.
 * A silent, failing or throttling registry is asked three times. `auth`: `user:password` in base64.
 */
export function registryClient(options: { readonly server: string; readonly name: string; readonly auth: string }) {
  const base = `${schemeOf(options.server)}://${options.server}`;
  const root = `${base}/v2/${options.name}`;

  async function ask(url: string, init: Asked): Promise<Response> {
    // The login is for this server alone, wherever it may send us.
    const own = new URL(url).origin === new URL(base).origin;
    const headers = { ...init.headers, ...(own ? { authorization: `Basic ${options.auth}` } : {}) };
    // A body that comes bit by bit is sent while it is read.
    const response = await fetch(url, { ...init, headers, duplex: 'half' });
    if (response.status >= 500 || response.status === 429) throw new Error(`it answers with ${response.status}`);
    return response;
  }

  async function hasBlob(digest: Digest): Promise<boolean> {
    return (await ask(`${root}/blobs/${digest}`, { method: 'HEAD' })).ok;
  }

  async function uploadBlob({ digest, sizeBytes, read }: ImageBlob): Promise<void> {
    if (await hasBlob(digest)) return;
    const begun = await expectOk(await ask(`${root}/blobs/uploads/`, { method: 'POST' }));
    const place = new URL(begun.headers.get('location') ?? '', base);
    place.searchParams.set('digest', digest);
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(sizeBytes) };
    await expectOk(await ask(place.href, { method: 'PUT', headers, body: read() }));
  }

  async function putManifest({ mediaType, bytes, digest }: ManifestBytes, reference: string): Promise<void> {
    const url = `${root}/manifests/${reference}`;
    const body = new Uint8Array(bytes);
    const response = await ask(url, { method: 'PUT', headers: { 'content-type': mediaType }, body });
    if (response.ok) return;
    // A tag that cannot be moved is refused although it names this very image, when the first answer was lost.
    const found = await ask(url, { method: 'HEAD', headers: { accept: mediaType } });
    if (found.headers.get('docker-content-digest') !== digest) await expectOk(response);
  }

  return {
    /** Reads it only when the registry lacks it, and as it is sent. */
    pushBlob: async (blob: ImageBlob) => await repeated(async () => await uploadBlob(blob)),
    /** `reference`: a tag, or the manifest's own digest. */
    pushManifest: async (manifest: ManifestBytes, reference: string) =>
      await repeated(async () => await putManifest(manifest, reference)),
  };
}
export type RegistryClient = ReturnType<typeof registryClient>;

/** A refusal: to ask again would change nothing. */
class Refused extends Error {
  override readonly name = 'Refused';
}

async function repeated(act: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (error) {
      if (error instanceof Refused) throw error;
      // What was to be sent cannot be read, or has other bytes.
      if (error instanceof Error && error.cause instanceof Problem) throw error.cause;
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      if (attempt === attempts) throw new Error(`the registry cannot be pushed to: ${cause}`, { cause: error });
      await pause(attempt * 500);
    }
  }
}

async function expectOk(response: Response): Promise<Response> {
  if (response.ok) return response;
  const said = (await response.text().catch(() => '')).slice(0, 300);
  throw new Refused(`the registry refuses the image with ${response.status}: ${said}`);
}

/** As every client does: plain HTTP on loopback only. */
function schemeOf(server: string): string {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::|$)/.test(server) ? 'http' : 'https';
}
