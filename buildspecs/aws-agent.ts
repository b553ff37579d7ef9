import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseBuildSpec, type BuildSpec } from '../functions/builds/spec.ts';
import { imageRepository as repositoryName, knownHostsKey } from '../functions/runtime/aws-names.ts';
import { messageOf, Problem } from '../functions/runtime/errors.ts';
import type { Digest } from '../functions/runtime/units.ts';
import { runStep } from './agent/agent.ts';
import { makeWorkFolder, removeWork, strangerOnCodeBuild } from './agent/code-build.ts';
import type { BuildKit, BundleFile, Environment, Outside, PublishedImage, Registry } from './agent/outside.ts';
import { limitTime } from './agent/time-limit.ts';
import { workFolder } from './agent/work-folder.ts';

/**
 * The build agent's entry in CodeBuild, bundled into `agent.mjs`, which is the source of every build project. Its
 * environment, besides what CodeBuild sets, is the project's and the build's:
 * - `SLUICE_SPEC`, `SLUICE_WORK`: what to build, and a folder that the agent makes and empties;
 * - `SLUICE_PREFIX`, `SLUICE_BUCKET`, `SLUICE_REGISTRY`: the installation, its bucket, the account's registry;
 * - `SLUICE_BUILDKIT_IMAGE`, `SLUICE_SBOM_SCANNER`, `SLUICE_BUILDKIT_ADDRESS`: see `BuildKit`; each may be left out.
 *
 * It asks AWS as the app's build role. The way to that role's credential is passed on neither to Git, nor to the engine,
 * nor to the app's command, and the command runs as a user who cannot look it up.
 */
const env = process.env;
const firstSteps = ['fetch', 'artifact', 'pull', 'import', 'check'];
void main(process.argv[2] ?? '');

async function main(step: string): Promise<void> {
  try {
    process.exitCode = await run(step, wire());
  } catch (error) {
    process.stdout.write(`Error: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}

async function run(step: string, outside: Outside): Promise<number> {
  const { work } = outside;
  if (firstSteps.includes(step)) await makeWorkFolder(work);
  const leave = () => void removeWork(work).finally(() => process.exit(1));
  const isLate = step === 'export' ? () => false : limitTime(outside, Date.now(), leave);
  const succeeding = env['CODEBUILD_BUILD_SUCCEEDING'] !== '0';
  const ended = await runStep(step, outside, { succeeding });
  const code = isLate() ? 1 : ended;
  // A failed first step is the end of a build; after every other one CodeBuild comes to `export`.
  if (code !== 0 || step === 'export') await removeWork(work);
  return code;
}

function wire(): Outside {
  const spec = parseBuildSpec(required('SLUICE_SPEC'));
  const work = workFolder(resolve(required('SLUICE_WORK')));
  const knownHosts = join(work.root, 'known_hosts');
  return {
    spec,
    work,
    environment: environmentOfTools(),
    git: { allow: [], knownHosts, openKnownHosts: async () => await openKnownHosts(spec, knownHosts) },
    engine: { kind: 'docker', bin: 'docker', buildKit: true },
    registry: registryOf(spec),
    appUser: strangerOnCodeBuild,
    readSecret,
    readObject,
    keepBundle,
    print: (line) => void process.stdout.write(`${line}\n`),
  };
}

/** Everything but our own settings, CodeBuild's, and the way to AWS: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` above all. */
function environmentOfTools(): Environment {
  const own = /^(?:SLUICE|CODEBUILD|AWS|ECS)_/;
  const given = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || own.test(name) ? [] : [[name, value]],
  );
  return Object.fromEntries(given) as Environment;
}

async function readSecret(name: string): Promise<string> {
  const { newSecretsManagerClient } = await import('../functions/aws/build-clients.ts');
  const { readSecrets } = await import('../functions/aws/secrets.ts');
  const { secretCache } = await import('../functions/aws/secret-cache.ts');
  const client = await newSecretsManagerClient();
  const secrets = readSecrets({ client, prefix: required('SLUICE_PREFIX'), cache: secretCache(Date.now) });
  return (await secrets.read(name)).value;
}

let opened: ReturnType<typeof openBucket> | undefined;

/** One client: a check may read 100,000 objects. */
async function bucket() {
  return await (opened ??= openBucket());
}

async function openBucket() {
  const { newS3Client } = await import('../functions/aws/build-clients.ts');
  return { client: await newS3Client(), bucket: required('SLUICE_BUCKET') };
}

async function readObject(digest: Digest): Promise<AsyncIterable<Uint8Array>> {
  const { readObjects } = await import('../functions/aws/objects.ts');
  try {
    return await readObjects(await bucket()).read(digest);
  } catch (cause) {
    // Who may not list the bucket, as a build, is told 403 of what is not there.
    if ((cause as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode !== 403) throw cause;
    throw new Problem('not-found', `There is no object ${digest} that this build may read`, { cause });
  }
}

async function keepBundle({ path, digest }: BundleFile): Promise<void> {
  const { writeObjects } = await import('../functions/aws/objects.ts');
  await writeObjects(await bucket()).put(digest, createReadStream(path));
}

async function openKnownHosts({ app }: BuildSpec, file: string): Promise<() => Promise<void>> {
  const { rememberedHostKeys } = await import('../functions/aws/known-hosts.ts');
  const keys = rememberedHostKeys({ ...(await bucket()), key: knownHostsKey(app) });
  const before = await keys.read();
  await writeFile(file, before.text, { mode: 0o600 });
  return async () => {
    const text = await readFile(file, 'utf8');
    if (text !== before.text) await keys.write(text, before);
  };
}

function registryOf({ app }: BuildSpec): Registry {
  const server = required('SLUICE_REGISTRY');
  const name = repositoryName(required('SLUICE_PREFIX'), app);
  const repository = `${server}/${name}`;
  const open = async () => {
    const { newEcrClient } = await import('../functions/aws/build-clients.ts');
    const { imageRepository } = await import('../functions/aws/images.ts');
    return imageRepository({ client: await newEcrClient(), repository: name, pause });
  };
  const published = (image: Pick<PublishedImage, 'digest' | 'sizeBytes'>): PublishedImage => {
    return { ...image, reference: `${repository}@${image.digest}` };
  };
  return {
    server,
    repository,
    buildKit: buildKit(),
    enter: async () => {
      const images = await open();
      await images.prepare();
      return await images.token();
    },
    find: async (tag) => {
      const image = await (await open()).find(tag);
      return image && published(image);
    },
    findPushed: async (tag) => published(await (await open()).findPushed(tag)),
  };
}

function buildKit(): BuildKit {
  const given = {
    address: env['SLUICE_BUILDKIT_ADDRESS'],
    image: env['SLUICE_BUILDKIT_IMAGE'],
    sbomScanner: env['SLUICE_SBOM_SCANNER'],
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value));
}

function required(name: string): string {
  const value = env[name];
  if (!value) throw new Error(`The build agent needs ${name} in its environment`);
  return value;
}
