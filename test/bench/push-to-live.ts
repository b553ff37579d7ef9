import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { AppInput } from '../../functions/apps/schema.ts';
import type { Engine } from '../../local/engine.ts';
import { makeRepository } from '../support/git-repo.ts';
import { freePort, startTestServer, testToken } from '../support/server.ts';
import { compare, timed, type Comparison } from './measure.ts';

/** How often the service is asked whether it is healthy, in seconds, by both sides; one good answer is enough for both. */
const pollSeconds = 0.1;

const serverFile = `import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
const version = readFileSync('version.txt', 'utf8');
createServer((req, res) => res.end(version)).listen(Number(process.env.PORT), '0.0.0.0');
process.on('SIGTERM', () => process.exit(0));
`;
/** What a small front end's build costs: 5 s of one core, whatever the machine. */
const buildFile = `import { createHash } from 'node:crypto';
const until = performance.now() + 5000;
let hash = '';
while (performance.now() < until) hash = createHash('sha256').update(hash + 'x'.repeat(10000)).digest('hex');
console.log('built ' + hash);
`;
const dockerfile = `ARG BASE=node:24-alpine
FROM \${BASE}
WORKDIR /app
COPY . .
RUN node build.mjs
CMD ["node", "server.mjs"]
`;

/**
 * From `git push` to a healthy answer of the new version, against a shell script that does the same work: push, clone
 * at depth 1, build, start, wait for health, stop the old one. The work itself is a build of 5 s.
 */
export async function benchPushToLive(
  kind: 'bundle' | 'image',
  pairs: number,
  image?: { engine: Engine; base: string },
): Promise<Comparison> {
  const server = await startTestServer({ env: { SLUICE_ENGINE: image ? 'auto' : 'process', LOG_LEVEL: 'warn' } });
  const [repository, listenPort] = await Promise.all([makeRepository(), freePort()]);
  const scratch = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  // Never the same twice, or the engine answers a build from its cache of an earlier benchmark.
  const run = Date.now();
  let version = 0;
  const nextCommit = async () => {
    version += 1;
    await repository.commit({
      'server.mjs': serverFile,
      'build.mjs': buildFile,
      Dockerfile: dockerfile,
      'version.txt': `v${run}-${version}`,
    });
    return `v${run}-${version}`;
  };
  try {
    await server.apply(
      'bench',
      benchApp(kind, { repoUrl: `${server.url}/git/bench.git`, listenPort, base: image?.base }),
    );
    const remote = `${server.url.replace('http://', `http://git:${testToken}@`)}/git/bench.git`;
    const ours = async () => {
      const wanted = await nextCommit();
      return await timed(async () => {
        await repository.git('push', '--quiet', remote, 'main');
        await answers(listenPort, wanted);
      });
    };
    const script = await shellScript(scratch, { kind, image });
    const theirs = async () => {
      const wanted = await nextCommit();
      return await timed(async () => {
        await repository.git('push', '--quiet', join(scratch, 'remote.git'), 'main');
        const { stdout } = await execa('sh', [script.file, wanted]);
        if (!stdout.includes('live')) throw new Error(`The script did not get there: ${stdout}`);
      });
    };
    const result = await compare(pairs, ours, async () => {
      const seconds = await theirs();
      await script.stop();
      return seconds;
    });
    return result;
  } finally {
    await server.remove();
    await repository.remove();
    await rm(scratch, { recursive: true, force: true });
    if (image) await removeImages(image.engine);
  }
}

async function removeImages({ bin }: Engine): Promise<void> {
  const { stdout } = await execa(bin, ['images', '--quiet', '--filter', 'reference=sluice-bench*'], { reject: false });
  const ids = stdout.split('\n').filter(Boolean);
  if (ids.length > 0) await execa(bin, ['image', 'rm', '--force', ...ids], { reject: false });
}

function benchApp(
  kind: 'bundle' | 'image',
  at: { repoUrl: string; listenPort: number; base: string | undefined },
): AppInput {
  return {
    source: { repoUrl: at.repoUrl },
    build:
      kind === 'bundle' ? { kind, command: 'node build.mjs' } : { kind, buildArgs: at.base ? { BASE: at.base } : {} },
    runtime: { command: ['node', 'server.mjs'], stopTimeoutSeconds: 5 },
    health: { path: '/', intervalSeconds: pollSeconds, timeoutSeconds: 2, healthyThreshold: 1, graceSeconds: 20 },
    environments: [
      {
        name: 'dev',
        branch: 'main',
        targets: [{ name: 'web', desiredCount: 1, listenPort: at.listenPort }],
        rollout: { drainSeconds: 5 },
      },
    ],
  };
}

async function answers(port: number, wanted: string): Promise<void> {
  for (;;) {
    const text = await fetch(`http://127.0.0.1:${port}/`).then(
      async (response) => await response.text(),
      () => '',
    );
    if (text === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The script an engineer writes before there is a control plane. */
async function shellScript(
  scratch: string,
  { kind, image }: { kind: 'bundle' | 'image'; image: { engine: Engine; base: string } | undefined },
) {
  await mkdir(join(scratch, 'remote.git'));
  await execa('git', ['init', '--quiet', '--bare', '--initial-branch', 'main', join(scratch, 'remote.git')]);
  const port = await freePort();
  const engine = image?.engine;
  const start =
    engine === undefined
      ? [`node build.mjs >build.log`, `PORT=${port} node server.mjs >app.log 2>&1 &`, `echo $! > '${scratch}/pid'`]
      : [
          `DOCKER_BUILDKIT=${engine.buildKit ? 1 : 0} '${engine.bin}' build -q --build-arg BASE='${image?.base}' -t sluice-bench-script . >/dev/null`,
          `'${engine.bin}' run -d --rm --name sluice-bench-script -e PORT=3000 -p 127.0.0.1:${port}:3000 sluice-bench-script >/dev/null`,
        ];
  const lines = [
    'set -e',
    `rm -rf '${scratch}/source'`,
    `git clone --quiet --depth 1 'file://${scratch}/remote.git' '${scratch}/source'`,
    `cd '${scratch}/source'`,
    ...start,
    `until [ "$(curl -fs http://127.0.0.1:${port}/)" = "$1" ]; do sleep ${pollSeconds}; done`,
    'echo live',
  ];
  const file = join(scratch, `${kind}.sh`);
  await writeFile(file, `${lines.join('\n')}\n`);
  const stop = async () => {
    if (engine) await execa(engine.bin, ['rm', '--force', 'sluice-bench-script'], { reject: false });
    else await execa('sh', ['-c', `kill "$(cat '${scratch}/pid')"`], { reject: false });
  };
  return { file, stop };
}
