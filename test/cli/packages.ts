import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { packTar } from 'modern-tar';
import { sha256 } from './builds-service.ts';

/** Images as tools write them, made here: their files by name. */
export type Files = ReadonlyMap<string, Buffer>;

/** Bytes that look like nothing and are always the same. */
export function noise(seed: string, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  let state = Number.parseInt(sha256(seed).slice(0, 8), 16) | 1;
  for (let index = 0; index + 4 <= sizeBytes; index += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, index);
  }
  return bytes;
}

export type Platform = { readonly architecture: string; readonly variant?: string };

const type = (name: string) => `application/vnd.oci.image.${name}`;
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

type Descriptor = { readonly mediaType: string; readonly digest: string; readonly size: number };

/** Files of an OCI layout under the making. */
export class Layout {
  readonly files = new Map<string, Buffer>([['oci-layout', json({ imageLayoutVersion: '1.0.0' })]]);

  blob(bytes: Buffer, mediaType: string): Descriptor {
    this.files.set(`blobs/sha256/${sha256(bytes)}`, bytes);
    return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length };
  }

  image(layers: readonly Buffer[], platform?: Platform): Descriptor & { platform: object } {
    return this.imageOf(
      layers.map((layer) => this.blob(layer, type('layer.v1.tar'))),
      platform,
    );
  }

  /** The same of layers that lie there already; they are not compressed. */
  imageOf(
    layers: readonly Descriptor[],
    platform: Platform = { architecture: 'amd64' },
  ): Descriptor & { platform: object } {
    const diffIds = layers.map(({ digest }) => digest);
    const config = { os: 'linux', ...platform, rootfs: { type: 'layers', diff_ids: diffIds } };
    const manifest = {
      schemaVersion: 2,
      mediaType: type('manifest.v1+json'),
      config: this.blob(json(config), type('config.v1+json')),
      layers,
    };
    return { ...this.blob(json(manifest), type('manifest.v1+json')), platform: { os: 'linux', ...platform } };
  }

  index(manifests: readonly object[]): Descriptor {
    return this.blob(json({ schemaVersion: 2, mediaType: type('index.v1+json'), manifests }), type('index.v1+json'));
  }

  /** Ends with what the layout holds. */
  top(manifests: readonly object[]): Files {
    this.files.set('index.json', json({ schemaVersion: 2, mediaType: type('index.v1+json'), manifests }));
    return this.files;
  }
}

export function ociImage(layers: readonly Buffer[], platform?: Platform): Files {
  const layout = new Layout();
  return layout.top([layout.image(layers, platform)]);
}

/** What `docker save` wrote before version 25: `manifest.json`, a configuration, a folder for each layer. */
export function oldDockerSave(layers: readonly Buffer[], platform: Platform = { architecture: 'amd64' }): Files {
  const diffIds = layers.map((layer) => `sha256:${sha256(layer)}`);
  const config = json({ os: 'linux', ...platform, rootfs: { type: 'layers', diff_ids: diffIds } });
  const configName = `${sha256(config)}.json`;
  const names = layers.map((_, index) => `${sha256(`layer ${index}`)}/layer.tar`);
  return new Map([
    ...layers.map((layer, index) => [names[index] ?? '', layer] as const),
    [configName, config],
    ['manifest.json', json([{ Config: configName, RepoTags: ['web:latest'], Layers: names }])],
    ['repositories', json({})],
  ]);
}

/** The names that a layout's blobs have in a build. */
export function blobsOf(files: Files): readonly string[] {
  const paths = [...files.keys()].filter((name) => name.startsWith('blobs/'));
  return paths.map((path) => `${path.split('/').at(-1)}.blob`);
}

export async function writeFolder(folder: string, files: Files): Promise<string> {
  for (const [name, bytes] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
  return folder;
}

export async function writeTar(file: string, files: Files): Promise<string> {
  const entries = [...files].map(([name, body]) => ({ header: { name, size: body.length }, body }));
  await writeFile(file, await packTar(entries));
  return file;
}
