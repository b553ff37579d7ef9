import type { IncomingMessage } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Route } from './route.ts';

export type Environment = Readonly<Record<string, string>>;

/** Where the post-receive hook sends what was pushed, and as whose. */
export type HookTarget = {
  readonly url: string;
  readonly secret: string;
  readonly app: string;
  readonly pusher: string;
};

export type ServiceSettings = {
  readonly git: Environment;
  /** Where all repositories are, and the one that is served. */
  readonly folder: string;
  readonly repository: string;
  /** The folder of the hooks. */
  readonly hooks: string;
  readonly hook: HookTarget;
  readonly maxBytes: number;
};

/** What every Git of ours gets: nothing of the user's own settings, which could name hooks, filters and helpers. */
export function gitEnvironment(environment: Readonly<Record<string, string | undefined>>): Environment {
  const kept = ['PATH', 'TMPDIR', 'SystemRoot'].flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    ...Object.fromEntries(kept),
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
  };
}

/** Refs in which Sluice keeps what it was told of; clients see nothing of them. */
export const hiddenRefs = 'refs/sluice';

/** The environment of `git http-backend` for one request: CGI, and the settings of the repository. */
export function serviceEnvironment(
  route: Route,
  { method, headers, socket }: IncomingMessage,
  settings: ServiceSettings,
): Environment {
  const { git, folder, hook } = settings;
  return {
    ...git,
    ...configEnvironment(settings),
    GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_PROTOCOL: 'HTTP/1.1',
    REQUEST_METHOD: method ?? '',
    GIT_PROJECT_ROOT: folder,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: `/${route.app}.git/${route.endpoint}`,
    QUERY_STRING: route.endpoint === 'info/refs' ? `service=${route.service}` : '',
    CONTENT_TYPE: headers['content-type'] ?? '',
    HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
    // No CONTENT_LENGTH: with it, git http-backend spins for ever when the client breaks off before that many bytes
    // (pipe_fixed_length). Without, it reads to the end, and a pack that is not whole is refused.
    GIT_PROTOCOL: protocolOf(headers['git-protocol']),
    REMOTE_USER: hook.pusher,
    REMOTE_ADDR: socket.remoteAddress ?? '',
    SLUICE_HOOK_NODE: process.execPath,
    SLUICE_HOOK_SCRIPT: fileURLToPath(new URL('./post-receive.ts', import.meta.url)),
    SLUICE_HOOK_URL: hook.url,
    SLUICE_HOOK_SECRET: hook.secret,
    SLUICE_HOOK_APP: hook.app,
    SLUICE_HOOK_PUSHER: hook.pusher,
  };
}

/** Settings by environment hold for old repositories, too. */
function configEnvironment({ repository, hooks, maxBytes }: ServiceSettings): Environment {
  const config: readonly (readonly [string, string])[] = [
    ['safe.directory', repository],
    ['core.hooksPath', hooks],
    ['http.receivepack', 'true'],
    ['receive.fsckObjects', 'true'],
    ['receive.maxInputSize', String(maxBytes)],
    // A shallow clone, as CI makes them, may be pushed as well.
    ['receive.shallowUpdate', 'true'],
    ['transfer.hideRefs', hiddenRefs],
  ];
  return Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(config.length)],
    ...config.flatMap(([key, value], at) => [
      [`GIT_CONFIG_KEY_${at}`, key],
      [`GIT_CONFIG_VALUE_${at}`, value],
    ]),
  ]) as Environment;
}

/** `version=2` and the like; anything else is not for a program's environment. */
function protocolOf(header: string | string[] | undefined): string {
  return typeof header === 'string' && /^[a-z0-9=:.-]{1,100}$/.test(header) ? header : '';
}
