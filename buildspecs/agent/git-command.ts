import type { RepoUrl } from '../../functions/apps/repo-url.ts';
import type { Environment } from './outside.ts';
import type { Command } from './run-command.ts';

/**
 * Settings of every Git command. Nothing that a repository or this machine's configuration says may start a program or
 * reach a place that was not asked for.
 */
const settings: Readonly<Record<string, string>> = {
  'core.hooksPath': '/dev/null',
  'core.fsmonitor': 'false',
  'core.autocrlf': 'false',
  'credential.helper': '',
  'protocol.ext.allow': 'never',
  'fetch.recurseSubmodules': 'false',
  'submodule.recurse': 'false',
  'gc.auto': '0',
  'maintenance.auto': 'false',
  'advice.detachedHead': 'false',
  'init.defaultBranch': 'main',
  // A server that sends nothing for a minute is given up.
  'http.lowSpeedLimit': '1',
  'http.lowSpeedTime': '60',
};

/** A Git command as a value: `git <settings> <args>` in a folder. */
export function gitCommand(args: readonly string[], at: { readonly cwd: string; readonly env: Environment }): Command {
  const given = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  return { file: 'git', args: [...given, ...args], ...at };
}

/**
 * The environment of Git: the tools' own, no configuration but ours, no question to a terminal, and only the transports
 * named. `GIT_CONFIG_COUNT` and its pairs may come from outside: by them this machine maps its own remote to a folder.
 */
export function gitEnvironment(base: Environment, url: RepoUrl, allow: readonly string[]): Environment {
  const own = url.transport === 'https' || url.transport === 'ssh' ? [url.transport] : [];
  return {
    ...base,
    LC_ALL: 'C.UTF-8',
    LANGUAGE: 'en',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    SSH_ASKPASS: '',
    GIT_ALLOW_PROTOCOL: [...new Set([...own, ...allow])].join(':'),
    GIT_LFS_SKIP_SMUDGE: '1',
  };
}
