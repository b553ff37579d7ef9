import { join, resolve } from 'node:path';
import { runStep } from '../buildspecs/agent/agent.ts';
import type { EngineClient, Environment, Outside, PublishedImage } from '../buildspecs/agent/outside.ts';
import { workFolder } from '../buildspecs/agent/work-folder.ts';
import { parseBuildSpec } from '../functions/builds/spec.ts';
import { messageOf } from '../functions/runtime/errors.ts';

/**
 * The build agent's entry on this machine, bundled into `dist/agent.mjs` and called by the buildspecs. Its environment
 * is made by `local/builder.ts`:
 * - `SLUICE_SPEC`, `SLUICE_WORK`, `SLUICE_DATA`: what to build, where, and the data folder;
 * - `SLUICE_GIT_ALLOW`: Git transports allowed besides https and ssh, parted by blanks;
 * - `SLUICE_ENGINE_KIND`, `SLUICE_ENGINE_BIN`, `SLUICE_ENGINE_BUILDKIT`: the container engine, where there is one.
 */
const env = process.env;
void main();

async function main(): Promise<void> {
  try {
    const succeeding = env['CODEBUILD_BUILD_SUCCEEDING'] !== '0';
    process.exitCode = await runStep(process.argv[2] ?? '', wire(), { succeeding });
  } catch (error) {
    process.stdout.write(`Error: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}

function wire(): Outside {
  const data = resolve(required('SLUICE_DATA'));
  const outside: Outside = {
    spec: parseBuildSpec(required('SLUICE_SPEC')),
    work: workFolder(resolve(required('SLUICE_WORK'))),
    environment: environmentOfTools(),
    git: { allow: (env['SLUICE_GIT_ALLOW'] ?? '').split(' ').filter(Boolean), knownHosts: join(data, 'known_hosts') },
    engine: engineClient(),
    readSecret: async (name) => {
      const { folderSecrets } = await import('./secrets.ts');
      const secrets = folderSecrets({ folder: join(data, 'secrets'), newId: () => crypto.randomUUID() });
      return (await secrets.read(name)).value;
    },
    readObject: async (digest) => await (await import('./read-object.ts')).readObject(join(data, 'objects'), digest),
    keepBundle: async (bundle) => await (await import('./adopt-object.ts')).adoptObject(join(data, 'objects'), bundle),
    publishImage: async ({ id }) => await publishImage(outside, id),
    print: (line) => void process.stdout.write(`${line}\n`),
  };
  return outside;
}

/**
 * On this machine an image's place is the engine's own store: its tag keeps it from being pruned there, and its id,
 * which is its digest, is what the fleet runs.
 */
async function publishImage(outside: Outside, id: string): Promise<PublishedImage> {
  const { enginePlace, getImage } = await import('../buildspecs/agent/engine-image.ts');
  const image = await getImage(enginePlace(outside), id);
  return { digest: image.id, reference: image.id, sizeBytes: image.sizeBytes };
}

function engineClient(): EngineClient | undefined {
  const kind = env['SLUICE_ENGINE_KIND'];
  if (kind !== 'docker' && kind !== 'podman') return undefined;
  return { kind, bin: required('SLUICE_ENGINE_BIN'), buildKit: env['SLUICE_ENGINE_BUILDKIT'] === '1' };
}

/** Everything but our own settings; the mark stays, as it must reach every process of the build. */
function environmentOfTools(): Environment {
  const own = (name: string) => /^(?:SLUICE_|CODEBUILD_)/.test(name) && name !== 'SLUICE_MARK';
  const given = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || own(name) ? [] : [[name, value]],
  );
  return Object.fromEntries(given) as Environment;
}

function required(name: string): string {
  const value = env[name];
  if (!value) throw new Error(`The build agent needs ${name} in its environment`);
  return value;
}
