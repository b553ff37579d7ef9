import type { AppInput } from '../apps/schema.ts';

/** An app as people write it, for the OpenAPI document. */
export const appExample: AppInput = {
  source: { repoUrl: 'git@github.com:acme/web.git', ref: 'main', credential: { kind: 'ssh-key' } },
  build: { kind: 'image', dockerfile: 'Dockerfile', context: '.', buildArgs: {}, timeoutMinutes: 10 },
  runtime: {
    port: 3000,
    env: { NODE_ENV: 'production' },
    secrets: { DATABASE_URL: 'database-url' },
    stopTimeoutSeconds: 30,
  },
  health: {
    path: '/health',
    intervalSeconds: 5,
    timeoutSeconds: 2,
    healthyThreshold: 2,
    unhealthyThreshold: 2,
    graceSeconds: 60,
  },
  environments: [
    {
      name: 'dev',
      branch: 'main',
      targets: [{ name: 'web', cluster: 'local', service: 'web-dev', desiredCount: 2, listenPort: 9001 }],
      rollout: {
        strategy: 'rolling',
        minimumHealthyPercent: 100,
        maximumPercent: 200,
        drainSeconds: 30,
        bakeSeconds: 0,
      },
    },
  ],
};
