import * as v from 'valibot';

/** What may be done with a token: flat-manager's scopes, and ours beside them. */
export const scopes = [
  'jobs',
  'build',
  'upload',
  'publish',
  'generate',
  'download',
  'republish',
  'reviewcheck',
  'tokenmanagement',
  'read',
  'apps',
  'secrets',
  'deploy',
  'rollback',
  'scale',
  'audit',
  'metrics',
] as const;
export type Scope = (typeof scopes)[number];

/** No chain of minting is longer: every use of a token looks at each token above it. */
export const mostParents = 16;
/** So many entries has a list of a token at most; it travels in a header. */
export const mostEntries = 100;

/**
 * What a token allows. A list names what is allowed, `""` stands for all, and an empty list allows nothing. `repos` and
 * `environments` name the same places, as a repository of the builds service is an environment of ours: both must allow one.
 */
export type Claims = {
  /** `build/7` is covered by `build/7`, `build` and `""`: whole parts between slashes. */
  readonly sub: string;
  /** Scopes that are not ours are tolerated, and allow nothing. */
  readonly scope: readonly string[];
  /** `org.acme` covers `org.acme` and `org.acme.Web`, not `org.acmeother`; an app is allowed by these or by `apps`. */
  readonly prefixes: readonly string[];
  /** Exact ids. */
  readonly apps: readonly string[];
  readonly repos: readonly string[];
  readonly environments: readonly string[];
  /** Branches from which this token may deploy. */
  readonly branches: readonly string[];
  /** Kept for flat-manager's clients, which show it with a build. */
  readonly tokenType?: string;
};

const text = (max: number) => v.pipe(v.string('a string'), v.maxLength(max, `at most ${max} characters`));
const list = (max: number) =>
  v.pipe(v.array(text(max), 'a list of strings'), v.maxLength(mostEntries, `at most ${mostEntries} entries`));

/** The payload of a token of ours, as it travels. */
export const payloadSchema = v.object({
  sub: text(512),
  /** Seconds since 1970, as `iat`. */
  exp: v.pipe(v.number(), v.integer()),
  iat: v.pipe(v.number(), v.integer()),
  name: text(1000),
  jti: v.pipe(text(128), v.minLength(1)),
  /** The tokens that it was minted by, the first one first: with any of them it ends. */
  parents: v.pipe(v.array(text(128)), v.maxLength(mostParents)),
  scope: list(64),
  prefixes: list(255),
  apps: list(255),
  repos: list(64),
  environments: list(64),
  branches: list(255),
  token_type: v.exactOptional(text(64)),
});
export type Payload = v.InferOutput<typeof payloadSchema>;

/** The claims of the admin token, of which every other token is a part. */
export const allClaims: Claims = {
  sub: '',
  scope: scopes,
  prefixes: [''],
  apps: [],
  repos: [''],
  environments: [''],
  branches: [''],
};

export function hasScope({ scope }: Pick<Claims, 'scope'>, wanted: Scope): boolean {
  return scope.includes(wanted);
}

/** Whether a sub is the wanted one, or stands above it. */
export function coversSub(sub: string, wanted: string): boolean {
  return sub === '' || wanted === sub || wanted.startsWith(`${sub}/`);
}

/** Whether a prefix is the wanted one, or stands above it. */
export function coversPrefix(prefix: string, wanted: string): boolean {
  return prefix === '' || wanted === prefix || wanted.startsWith(`${prefix}.`);
}

/** Whether an app of that name is allowed: by its exact name, or by a prefix of it. */
export function allowsApp({ apps, prefixes }: Pick<Claims, 'apps' | 'prefixes'>, name: string): boolean {
  return apps.includes(name) || prefixes.some((prefix) => coversPrefix(prefix, name));
}

/** Whether every app is allowed. */
export function allowsAllApps({ prefixes }: Pick<Claims, 'prefixes'>): boolean {
  return prefixes.includes('');
}

/** Whether a name is in a list, in which `""` stands for all. */
export function listAllows(list: readonly string[], name: string): boolean {
  return list.includes('') || list.includes(name);
}

/** Whether every environment is allowed. */
export function allowsEverywhere({ repos, environments }: Pick<Claims, 'repos' | 'environments'>): boolean {
  return repos.includes('') && environments.includes('');
}

/** Whether an environment is allowed, which is called a repository elsewhere. */
export function allowsPlace(claims: Pick<Claims, 'repos' | 'environments'>, name: string): boolean {
  return listAllows(claims.repos, name) && listAllows(claims.environments, name);
}
