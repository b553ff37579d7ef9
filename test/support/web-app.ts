import type { AppInput } from '../../functions/apps/schema.ts';

/** What a commit of the app under test is like. */
export type WebVersion = {
  readonly version: string;
  /** `unhealthy` never passes the health check; `dies` passes it and exits soon after. */
  readonly behaviour?: 'well' | 'unhealthy' | 'dies' | 'refuses-to-build';
};

const server = `import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
const { version, behaviour } = JSON.parse(readFileSync('built.json', 'utf8'));
let open = 0;
const server = createServer((req, res) => {
  if (req.url === '/health') return res.writeHead(behaviour === 'unhealthy' ? 500 : 200).end();
  if (req.url === '/env') return res.end(JSON.stringify(process.env));
  if (req.url.startsWith('/slow')) return setTimeout(() => res.end(version), 3000);
  res.end(version);
});
server.listen(Number(process.env.PORT), process.env.HOST ?? '0.0.0.0');
process.on('SIGTERM', () => server.close(() => process.exit(0)));
if (behaviour === 'dies') setTimeout(() => process.exit(3), 700);
`;
const build = `import { readFileSync, writeFileSync } from 'node:fs';
const what = JSON.parse(readFileSync('version.json', 'utf8'));
console.log('building version ' + what.version);
if (what.behaviour === 'refuses-to-build') { console.error('cannot compile'); process.exit(2); }
writeFileSync('built.json', JSON.stringify(what));
`;

/** The files of a commit. */
export function webFiles({ version, behaviour = 'well' }: WebVersion): Record<string, string> {
  return { 'server.mjs': server, 'build.mjs': build, 'version.json': JSON.stringify({ version, behaviour }) };
}

/** The app as a bundle, with checks quick enough for a test. */
export function webApp(options: { repoUrl: string; listenPort: number; desiredCount?: number }): AppInput {
  return {
    source: { repoUrl: options.repoUrl },
    build: { kind: 'bundle', command: 'node build.mjs', timeoutMinutes: 1 },
    runtime: { command: ['node', 'server.mjs'], stopTimeoutSeconds: 5 },
    health: {
      path: '/health',
      intervalSeconds: 0.1,
      timeoutSeconds: 2,
      healthyThreshold: 2,
      unhealthyThreshold: 2,
      graceSeconds: 3,
    },
    environments: [
      {
        name: 'dev',
        branch: 'main',
        targets: [{ name: 'web', desiredCount: options.desiredCount ?? 2, listenPort: options.listenPort }],
        rollout: { drainSeconds: 10, failureThreshold: 2, timeLimitSeconds: 60 },
      },
    ],
  };
}
