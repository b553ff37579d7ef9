import type { Policy } from '../ports/ports.ts';
import type { Issue } from '../runtime/errors.ts';
import { fieldPath } from '../runtime/parse.ts';
import { environmentIssues } from './environment-rules.ts';
import { isOwnRemote, parseRepoUrl, repoUrlRefusal } from './repo-url.ts';
import type { App, Source } from './schema.ts';

/** Kept for the deploy key, which is made here and no one's to write. */
export const reservedSecretName = 'deploy-key';

/** An app with its environments is a record, and a copy of it is in every deployment's record: at most 400 KB. */
const mostBytes = 100_000;

/** What an app says that its schema alone cannot refuse: the rules between its fields, and what this cloud allows. */
export function ruleIssues(app: App, policy: Pick<Policy, 'source' | 'targets' | 'builds'>): readonly Issue[] {
  return [
    ...sizeIssues(app),
    ...(app.source ? sourceIssues(app.source, policy.source) : []),
    ...buildIssues(app),
    ...(policy.builds ? specIssues(app, policy.builds.mostSpecBytes) : []),
    ...runtimeIssues(app),
    ...healthIssues(app),
    ...environmentIssues(app),
    ...ciIssues(app),
    ...(policy.targets?.needService ? serviceIssues(app) : []),
  ];
}

/** What a build is told besides what its app says of source and build: ids, a tag, a ref, a commit, and their names. */
const otherSpecBytes = 800;

/** What would be refused when it is built is refused when it is said. */
function specIssues({ source, build, environments }: App, mostSpecBytes: number): readonly Issue[] {
  const most = mostSpecBytes - otherSpecBytes;
  const fits = (told: object) => Buffer.byteLength(JSON.stringify(told)) <= most;
  const limit = `of at most ${most} bytes together as JSON: builds here take no more`;
  const checks = environments.flatMap(({ checks = [] }, at) =>
    checks.flatMap(({ command, image }, index) =>
      fits({ command, image })
        ? []
        : [{ field: `environments[${at}].checks[${index}]`, expected: `a command and an image ${limit}` }],
    ),
  );
  return fits({ source, build }) ? checks : [{ field: 'build', expected: `a source and a build ${limit}` }, ...checks];
}

/** Where services are made by the app's own stack, nobody can guess what they are called. */
function serviceIssues({ environments }: App): readonly Issue[] {
  return environments.flatMap(({ targets }, at) =>
    targets.flatMap(({ service }, index) =>
      service === undefined
        ? [{ field: `environments[${at}].targets[${index}].service`, expected: 'the name of the ECS service' }]
        : [],
    ),
  );
}

function sizeIssues(app: App): readonly Issue[] {
  const isFit = Buffer.byteLength(JSON.stringify(app)) <= mostBytes;
  return isFit ? [] : [{ field: fieldPath([]), expected: `an app of at most ${mostBytes} bytes as JSON` }];
}

function sourceIssues(source: Source, policy: Policy['source']): readonly Issue[] {
  const url = parseRepoUrl(source.repoUrl);
  if (!url) return [];
  const { credential, hostKeys } = source;
  const issues: Issue[] = [];
  const refusal = repoUrlRefusal(url, policy);
  if (refusal) issues.push({ field: 'source.repoUrl', expected: refusal });
  if (hostKeys && url.transport !== 'ssh') {
    issues.push({ field: 'source.hostKeys', expected: 'none where repoUrl is not an ssh URL' });
  }
  const expected = expectedCredential(url.transport, isOwnRemote(url, policy));
  if (!expected.includes(credential.kind)) {
    const kinds = expected.join(' or ');
    issues.push({ field: 'source.credential.kind', expected: `${kinds}, as repoUrl is a ${url.transport} URL` });
  }
  if (credential.kind === 'https-token' && credential.secret === reservedSecretName) {
    issues.push({ field: 'source.credential.secret', expected: anotherSecretName });
  }
  return issues;
}

function expectedCredential(
  transport: 'https' | 'http' | 'ssh' | 'file',
  isOwn: boolean,
): readonly Source['credential']['kind'][] {
  if (transport === 'ssh') return ['ssh-key'];
  // A build reads the control plane's own remote without a credential.
  return transport === 'file' || isOwn ? ['none'] : ['none', 'https-token'];
}

function buildIssues({ source, build, runtime }: App): readonly Issue[] {
  if (build && !source) return [{ field: 'source', expected: 'where the source is, as there is a build' }];
  if (source && !build) return [{ field: 'build', expected: 'how to build the source: an object with a kind' }];
  if (build?.kind === 'bundle' && !runtime.command) {
    return [{ field: 'runtime.command', expected: 'the start command of the bundle, as a list of strings' }];
  }
  return [];
}

const anotherSecretName = `another name: ${reservedSecretName} is kept for the deploy key`;
const givenPort = 'another name: PORT is set from runtime.port';

function runtimeIssues({ runtime, environments }: App): readonly Issue[] {
  const issues: Issue[] = [];
  const variables = [
    { path: ['runtime', 'env'], env: runtime.env },
    ...environments.map(({ env }, at) => ({ path: ['environments', at, 'env'], env })),
  ];
  for (const { path, env } of variables) {
    if (Object.hasOwn(env, 'PORT')) issues.push({ field: fieldPath([...path, 'PORT']), expected: givenPort });
    for (const name of Object.keys(runtime.secrets).filter((name) => Object.hasOwn(env, name))) {
      issues.push({ field: fieldPath([...path, name]), expected: `nothing here, as runtime.secrets sets ${name}` });
    }
  }
  for (const [name, secret] of Object.entries(runtime.secrets)) {
    const field = fieldPath(['runtime', 'secrets', name]);
    if (name === 'PORT') issues.push({ field, expected: givenPort });
    if (secret === reservedSecretName) issues.push({ field, expected: anotherSecretName });
  }
  return issues;
}

/** A name that no environment has is a slip of the pen, and one that comes later must not be granted unseen. */
function ciIssues({ ci = [], environments }: App): readonly Issue[] {
  const names = environments.map(({ name }) => name);
  return ci.flatMap((rule, at) =>
    rule.environments.flatMap((name, index) =>
      names.includes(name)
        ? []
        : [{ field: fieldPath(['ci', at, 'environments', index]), expected: `one of ${names.join(', ')}` }],
    ),
  );
}

/** A check that may take longer than the time to the next one never says in time that a task is ill. */
function healthIssues({ health }: App): readonly Issue[] {
  // The default of 2 seconds is nobody's mistake, also beside a shorter interval.
  const most = Math.max(health.intervalSeconds, 2);
  return health.timeoutSeconds <= most
    ? []
    : [{ field: 'health.timeoutSeconds', expected: `at most ${most}: the next check begins then` }];
}
