import type { Scope } from './claims.ts';

/** The parts of a request's path, by name. */
export type PathParams = Readonly<Record<string, string>>;

/**
 * What a route asks of a token: one of these scopes, or `any` token whatever it allows, or none (`open`); and the sub
 * that it must cover.
 */
export type Requirement = {
  readonly method: Method;
  /** The route's pattern, as it is registered. */
  readonly path: string;
  readonly scope: readonly Scope[] | 'any' | 'open';
  readonly sub: (params: PathParams) => string;
  /**
   * Whether a sub beneath is enough: what the route is about comes to light later, in a body or a record, and its handler
   * asks `permit`; or the route lists, and leaves out what the token does not allow.
   */
  readonly beneath: boolean;
  /** Whether it concerns all environments of an app at once: a token that allows only some is not enough. */
  readonly everywhere: boolean;
};
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

const all = () => '';
const anyApp = () => 'app';
const anyBuild = () => 'build';
const app = (params: PathParams) => `app/${params['app']}`;
const environment = (params: PathParams) => `${app(params)}/${params['environment']}`;
const build = (params: PathParams) => `build/${params['id']}`;

/**
 * The one table of what every route needs. GET stands for QUERY and HEAD as well. A route without an entry is refused
 * for everybody but the admin token.
 */
export const requirements: readonly Requirement[] = [
  ...open(['GET /health', 'GET /ready', 'GET /openapi.json', 'POST /webhooks/github', 'POST /api/v1/token/exchange']),
  at('GET /metrics', ['metrics'], all),

  listed('GET /api/v1/apps', ['read'], anyApp),
  at('GET /api/v1/apps/:app', ['read'], app),
  whole('PUT /api/v1/apps/:app', ['apps'], app),
  whole('DELETE /api/v1/apps/:app', ['apps'], app),
  whole('POST /api/v1/apps/:app/deploy-key', ['apps'], app),
  at('GET /api/v1/apps/:app/secrets', ['secrets'], app),
  whole('PUT /api/v1/apps/:app/secrets/:name', ['secrets'], app),
  whole('DELETE /api/v1/apps/:app/secrets/:name', ['secrets'], app),

  at('GET /api/v1/apps/:app/environments/:environment', ['read'], environment),
  at('GET /api/v1/apps/:app/environments/:environment/logs', ['read'], environment),
  at('GET /api/v1/apps/:app/environments/:environment/published', ['read'], environment),
  at('POST /api/v1/apps/:app/environments/:environment/promote', ['deploy'], environment),
  at('POST /api/v1/apps/:app/environments/:environment/rollback', ['rollback'], environment),
  at('PUT /api/v1/apps/:app/environments/:environment/scale', ['scale'], environment),

  listed('POST /api/v1/deployments', ['deploy'], anyApp),
  listed('GET /api/v1/deployments', ['read'], anyApp),
  listed('GET /api/v1/deployments/:id', ['read'], anyApp),
  listed('GET /api/v1/deployments/:id/events', ['read'], anyApp),
  listed('POST /api/v1/deployments/:id/cancel', ['deploy'], anyApp),

  at('POST /api/v1/build', ['build'], anyBuild),
  at('GET /api/v1/build', ['build', 'download'], anyBuild),
  at('GET /api/v1/build/:id', ['build', 'upload'], build),
  at('GET /api/v1/build/:id/extended', ['build', 'upload'], build),
  at('GET /api/v1/build/:id/logs', ['build', 'upload', 'read'], build),
  at('POST /api/v1/build/:id/build_ref', ['upload'], build),
  at('GET /api/v1/build/:id/build_ref/:ref', ['build'], build),
  at('GET /api/v1/build/:id/missing_objects', ['upload'], build),
  at('POST /api/v1/build/:id/upload', ['upload'], build),
  at('POST /api/v1/build/:id/uploads', ['upload'], build),
  at('POST /api/v1/build/:id/add_extra_ids', ['upload'], build),
  at('POST /api/v1/build/:id/commit', ['build'], build),
  at('GET /api/v1/build/:id/commit', ['build'], build),
  at('POST /api/v1/build/:id/publish', ['publish'], build),
  at('GET /api/v1/build/:id/publish', ['build'], build),
  at('GET /api/v1/build/:id/check/:name/job', ['build'], build),
  at('POST /api/v1/build/:id/purge', ['build'], build),

  at('GET /api/v1/job/:id', ['jobs'], anyBuild),
  at('POST /api/v1/job/:id/check/review', ['reviewcheck'], anyBuild),
  at('POST /api/v1/job/:id/retry', ['jobs'], anyBuild),
  at('GET /api/v1/hooks/dead', ['jobs'], all),
  at('POST /api/v1/repo/:repo/republish', ['republish'], anyBuild),
  at('POST /api/v1/prune', ['tokenmanagement'], anyBuild),

  at('GET /repo/:app/:environment/config', ['download'], environment),
  at('GET /repo/:app/:environment/refs/heads/:type/:name/:arch/:branch', ['download'], environment),
  at('GET /repo/:app/:environment/objects/:folder/:rest', ['download'], environment),
  at('GET /repo/:app/:environment/deltas/:folder/:rest/:piece', ['download'], environment),

  at('POST /api/v1/token_subset', 'any', all),
  at('POST /api/v1/tokens/get_list', ['tokenmanagement'], all),
  at('POST /api/v1/tokens/revoke', ['tokenmanagement'], all),
  at('GET /api/v1/tokens', ['tokenmanagement'], all),
  at('GET /api/v1/audit', ['audit'], all),
];

const byRoute = new Map(requirements.map((requirement) => [`${requirement.method} ${requirement.path}`, requirement]));

/** What the route of a method and a pattern needs; undefined: it is in no table. */
export function findRequirement(method: string, path: string): Requirement | undefined {
  const isGet = method === 'HEAD' || method === 'QUERY';
  return byRoute.get(`${isGet ? 'GET' : method} ${path}`);
}

function at(route: string, scope: Requirement['scope'], sub: Requirement['sub']): Requirement {
  const [method, path = ''] = route.split(' ', 2);
  return { method: method as Method, path, scope, sub, beneath: false, everywhere: false };
}

function listed(route: string, scope: Requirement['scope'], sub: Requirement['sub']): Requirement {
  return { ...at(route, scope, sub), beneath: true };
}

function whole(route: string, scope: Requirement['scope'], sub: Requirement['sub']): Requirement {
  return { ...at(route, scope, sub), everywhere: true };
}

function open(routes: readonly string[]): readonly Requirement[] {
  return routes.map((route) => at(route, 'open', all));
}
