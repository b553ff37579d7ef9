import { copyFile, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BundleFile, EngineClient, Outside } from '../../buildspecs/agent/outside.ts';
import { readState, type State } from '../../buildspecs/agent/state.ts';
import { workFolder } from '../../buildspecs/agent/work-folder.ts';
import type { BuildSpec } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { environmentOfTests, newBuildId } from './builds.ts';

export type TestOutside = Outside & {
  readonly lines: string[];
  /** What Objects hold. */
  readonly blobs: Map<string, Uint8Array>;
  readonly kept: (BundleFile & { readonly copy: string })[];
  readonly state: () => Promise<State>;
  readonly remove: () => Promise<void>;
};

/** The agent's outside as a test wants it: bundles are kept in a list, secrets are the ones given. */
export async function makeOutside(
  work: BuildSpec['work'],
  options: {
    readonly secrets?: Readonly<Record<string, string>>;
    readonly allow?: readonly string[];
    readonly engine?: EngineClient;
    readonly environment?: Readonly<Record<string, string>>;
  } = {},
): Promise<TestOutside> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'sluice-agent-')));
  const place = workFolder(join(root, 'work'));
  await mkdir(place.root);
  const lines: string[] = [];
  const kept: (BundleFile & { copy: string })[] = [];
  const blobs: TestOutside['blobs'] = new Map();
  const outside: TestOutside = {
    lines,
    blobs,
    kept,
    spec: { buildId: newBuildId(), app: 'web', deploymentId: 'd1', timeoutSeconds: 60, work },
    work: place,
    environment: { ...environmentOfTests(), ...options.environment },
    git: { allow: options.allow ?? ['file'], knownHosts: join(root, 'known_hosts') },
    engine: options.engine,
    readSecret: async (name) => {
      const value = options.secrets?.[name];
      if (value === undefined) throw new Error(`There is no secret ${name}`);
      return value;
    },
    readObject: async (digest) => {
      const blob = blobs.get(digest);
      if (!blob) throw new Problem('not-found', `There is no object ${digest}`);
      return inPieces(blob);
    },
    keepBundle: async (bundle) => {
      const copy = join(root, `kept-${kept.length}`);
      await copyFile(bundle.path, copy);
      kept.push({ ...bundle, copy });
    },
    publishImage: async ({ id }) => {
      const { enginePlace, getImage } = await import('../../buildspecs/agent/engine-image.ts');
      const image = await getImage(enginePlace(outside), id);
      return { digest: image.id, reference: image.id, sizeBytes: image.sizeBytes };
    },
    print: (line) => void lines.push(line),
    state: async () => await readState(place),
    remove: async () => await rm(root, { recursive: true, force: true }),
  };
  return outside;
}

/** As a store gives a blob: not in one piece. */
async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += 1000) yield bytes.subarray(at, at + 1000);
}
