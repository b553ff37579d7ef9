import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseApp } from '../../functions/apps/parse.ts';
import { Problem, type Issue } from '../../functions/runtime/errors.ts';

const here = { source: { allowFile: true, ownRemote: 'http://127.0.0.1:4600/git/' } };
const cloud = { source: { allowFile: false, ownRemote: undefined } };

const source = { repoUrl: 'https://github.com/acme/web' };
const environment = { name: 'dev', targets: [{ name: 'web' }] };
const app = { environments: [environment] };
const imageApp = { source, build: { kind: 'image' }, ...app };

function issuesOf(input: unknown, policy: typeof here | typeof cloud = here): readonly Issue[] {
  try {
    parseApp(input, policy);
    return [];
  } catch (error) {
    if (error instanceof Problem) return error.issues;
    throw error;
  }
}
const fieldsOf = (input: unknown, policy?: typeof here | typeof cloud) =>
  issuesOf(input, policy).map(({ field }) => field);

describe('parseApp', () => {
  it('takes the app of the manual, with its defaults filled in', () => {
    const parsed = parseApp(
      {
        source: { repoUrl: 'git@github.com:acme/web.git', ref: 'main', credential: { kind: 'ssh-key' } },
        build: { kind: 'image', dockerfile: 'Dockerfile', context: '.', buildArgs: {}, timeoutMinutes: 10 },
        runtime: {
          port: 3000,
          env: { NODE_ENV: 'production' },
          secrets: { DATABASE_URL: 'database-url' },
          stopTimeoutSeconds: 30,
        },
        health: { path: '/health', intervalSeconds: 5 },
        environments: [
          {
            name: 'dev',
            branch: 'main',
            targets: [{ name: 'web', cluster: 'local', service: 'web-dev', desiredCount: 2, listenPort: 9001 }],
            rollout: { strategy: 'rolling', minimumHealthyPercent: 100, maximumPercent: 200 },
          },
          { name: 'stable', parent: 'dev', targets: [{ name: 'web', listenPort: 9002 }] },
        ],
      },
      cloud,
    );
    expect(parsed.health).toMatchObject({ timeoutSeconds: 2, healthyThreshold: 2, graceSeconds: 60 });
    expect(parsed.environments[1]).toMatchObject({ supersede: true, rollout: { drainSeconds: 30 } });
  });

  it('asks for the name of the service where others make the services', () => {
    const policy = { ...cloud, targets: { needService: true } };
    const targets = [{ name: 'web', service: 'web-dev' }, { name: 'worker' }];
    expect(fieldsOf({ environments: [{ name: 'dev', targets }] }, policy)).toEqual([
      'environments[0].targets[1].service',
    ]);
  });

  it('takes an app that only says where it runs', () => {
    expect(parseApp(app, cloud).runtime).toEqual({ port: 3000, env: {}, secrets: {}, stopTimeoutSeconds: 30 });
  });

  const environments = (...list: readonly object[]) => ({
    ...imageApp,
    environments: list.map((extra, at) => ({ ...environment, name: `e${at}`, ...extra })),
  });

  it.each<[string, unknown, readonly string[]]>([
    ['two environments of one name', environments({ name: 'dev' }, { name: 'dev' }), ['environments[1].name']],
    [
      'two targets of one name',
      environments({ targets: [{ name: 'a' }, { name: 'a' }] }),
      ['environments[0].targets[1].name'],
    ],
    [
      'one port for two targets',
      environments({ targets: [{ name: 'a', listenPort: 9 }] }, { targets: [{ name: 'a', listenPort: 9 }] }),
      ['environments[1].targets[0].listenPort'],
    ],
    ['one host name twice', environments({ domains: ['a.b'] }, { domains: ['a.b'] }), ['environments[1].domains[0]']],
    ['a parent that is not there', environments({ parent: 'prod' }), ['environments[0].parent']],
    ['an environment that is its own parent', environments({ parent: 'e0' }), ['environments[0].parent']],
    [
      'parents in a circle',
      environments({ parent: 'e1' }, { parent: 'e2' }, { parent: 'e0' }),
      ['environments[0].parent', 'environments[1].parent', 'environments[2].parent'],
    ],
    [
      'both a parent and pushes',
      environments({}, { parent: 'e0', branch: 'main', tag: 'v*' }),
      ['environments[1].branch', 'environments[1].tag'],
    ],
    ['pushes without a source', { environments: [{ ...environment, branch: 'main' }] }, ['environments[0].branch']],
    ['a build without a source', { ...app, build: { kind: 'image' } }, ['source']],
    ['a source without a build', { ...app, source }, ['build']],
    ['a bundle without its start command', { ...imageApp, build: { kind: 'bundle' } }, ['runtime.command']],
    ['PORT as a variable', { ...app, runtime: { env: { PORT: '1' } } }, ['runtime.env.PORT']],
    ['PORT as a secret', { ...app, runtime: { secrets: { PORT: 'port' } } }, ['runtime.secrets.PORT']],
    ['PORT in an environment', environments({ env: { PORT: '1' } }), ['environments[0].env.PORT']],
    [
      'a variable that is also a secret',
      { ...app, runtime: { env: { A: '1' }, secrets: { A: 'a' } } },
      ['runtime.env.A'],
    ],
    [
      "an environment's variable that is also a secret",
      { runtime: { secrets: { A: 'a' } }, environments: [{ ...environment, env: { A: '1' } }] },
      ['environments[0].env.A'],
    ],
    ['the deploy key as a secret', { ...app, runtime: { secrets: { KEY: 'deploy-key' } } }, ['runtime.secrets.KEY']],
    [
      'a rollout that could not move',
      environments({ rollout: { maximumPercent: 100 } }),
      ['environments[0].rollout.maximumPercent'],
    ],
    [
      'a rollout that could not move for the rounding',
      environments({ targets: [{ name: 'a', desiredCount: 2 }], rollout: { maximumPercent: 149 } }),
      ['environments[0].rollout.maximumPercent'],
    ],
    [
      'a check that outlasts its interval',
      { ...app, health: { intervalSeconds: 5, timeoutSeconds: 6 } },
      ['health.timeoutSeconds'],
    ],
    [
      'an ssh URL without its key',
      { ...imageApp, source: { repoUrl: 'git@github.com:a/b' } },
      ['source.credential.kind'],
    ],
    [
      'a key for an https URL',
      { ...imageApp, source: { ...source, credential: { kind: 'ssh-key' } } },
      ['source.credential.kind'],
    ],
    [
      'host keys for an https URL',
      { ...imageApp, source: { ...source, hostKeys: ['x ssh-ed25519 y'] } },
      ['source.hostKeys'],
    ],
    [
      'a token for a file',
      { ...imageApp, source: { repoUrl: 'file:///srv/a', credential: { kind: 'https-token', secret: 'x' } } },
      ['source.credential.kind'],
    ],
    [
      'an enormous app',
      {
        ...app,
        runtime: {
          env: { A: 'x'.repeat(30_000), B: 'x'.repeat(30_000), C: 'x'.repeat(30_000), D: 'x'.repeat(30_000) },
        },
      },
      ['(whole)'],
    ],
  ])('refuses %s', (_what, input, fields) => {
    expect(fieldsOf(input)).toEqual(fields);
  });

  it('lets a rollout move by stopping first, where less than everything may serve', () => {
    const rollout = { minimumHealthyPercent: 50, maximumPercent: 100 };
    const targets = [{ name: 'a', desiredCount: 2 }];
    expect(fieldsOf(environments({ targets, rollout }))).toEqual([]);
    expect(
      fieldsOf(environments({ targets: [{ name: 'a', desiredCount: 0 }], rollout: { maximumPercent: 100 } })),
    ).toEqual([]);
  });

  it('takes a file and its own remote only where the policy allows them', () => {
    const file = { ...imageApp, source: { repoUrl: 'file:///srv/web.git' } };
    const own = { ...imageApp, source: { repoUrl: 'http://127.0.0.1:4600/git/web.git' } };
    expect(fieldsOf(file, here)).toEqual([]);
    expect(fieldsOf(own, here)).toEqual([]);
    expect(fieldsOf(file, cloud)).toEqual(['source.repoUrl']);
    expect(fieldsOf(own, cloud)).toEqual(['source.repoUrl']);
  });

  it('names all that is wrong at once', () => {
    const input = { ...imageApp, runtime: { env: { PORT: '1' } }, environments: [environment, environment] };
    expect(fieldsOf(input)).toEqual(['runtime.env.PORT', 'environments[1].name']);
  });

  it('never repeats a value, wherever a secret was put by mistake', () => {
    const secret = 'hunter2-hunter2';
    const places = [
      { ...imageApp, source: { repoUrl: `https://x:${secret}@github.com/a/b` } },
      { ...imageApp, source: { ...source, ref: `-${secret}` } },
      { ...imageApp, source: { ...source, credential: { kind: secret } } },
      { ...imageApp, build: { kind: secret } },
      { ...app, runtime: { env: { A: [secret] } } },
      { ...app, runtime: { secrets: { A: `${secret}!` } } },
      { ...app, health: { path: secret } },
      { environments: [{ ...environment, branch: `!${secret}` }] },
      { environments: [{ ...environment, parent: secret.replaceAll('-', '') }] },
      secret,
    ];
    for (const input of places) {
      const issues = issuesOf(input);
      expect(issues.length).toBeGreaterThan(0);
      expect(JSON.stringify(issues)).not.toContain('hunter2');
    }
  });

  it('throws nothing but a Problem, whatever it is given', () => {
    const mutated = fc
      .tuple(fc.constantFrom('source', 'build', 'runtime', 'health', 'environments'), fc.jsonValue())
      .map(([field, value]) => ({ ...imageApp, [field]: value }));
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), mutated), (input) => {
        expect(Array.isArray(issuesOf(input))).toBe(true);
      }),
    );
  });
});
