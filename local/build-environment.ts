import { pathToFileURL } from 'node:url';
import type { Engine } from './engine.ts';

export type Variables = Readonly<Record<string, string | undefined>>;

/** The Git remote that this control plane serves, and the folder of its bare repositories. */
export type OwnRemote = { readonly url: string; readonly folder: string };

/** Where programs are, how the internet and the engine are reached; nothing else of ours is a build's business. */
const passes =
  /^(?:PATH|HOME|USER|LOGNAME|TZ|TMPDIR|XDG_RUNTIME_DIR|https?_proxy|no_proxy|all_proxy|SSL_CERT_(?:FILE|DIR)|NODE_EXTRA_CA_CERTS|GIT_SSL_CAINFO|DOCKER_[A-Z_]+|CONTAINER_HOST|CONTAINERS_[A-Z_]+)$/i;

/** Of the control plane's environment what the tools of a build need; its own settings and secrets stay behind. */
export function toolEnvironment(env: Variables): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value !== undefined && passes.test(name) ? [[name, value]] : [])),
  );
}

/** The agent's settings for the engine that was found. */
export function engineVariables(engine: Engine | undefined): Readonly<Record<string, string>> {
  if (!engine) return {};
  return {
    SLUICE_ENGINE_KIND: engine.kind,
    SLUICE_ENGINE_BIN: engine.bin,
    SLUICE_ENGINE_BUILDKIT: engine.buildKit ? '1' : '0',
  };
}

/**
 * Lets Git clone this machine's own remote from its folder: a build must not need a token for, or wait upon, the very
 * server that runs it. `git config url.<base>.insteadOf`, given by the environment (git-config(1), GIT_CONFIG_COUNT).
 */
export function ownRemoteVariables(remote: OwnRemote | undefined): Readonly<Record<string, string>> {
  if (!remote) return {};
  const base = pathToFileURL(`${remote.folder}/`).href;
  const url = new URL(remote.url);
  const sameServer = ['127.0.0.1', 'localhost', '[::1]'];
  const hosts = sameServer.includes(url.hostname) ? sameServer : [url.hostname];
  const urls = hosts.map((host) => remote.url.replace(url.hostname, host));
  return Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(urls.length)],
    ...urls.flatMap((from, index) => [
      [`GIT_CONFIG_KEY_${index}`, `url.${base}.insteadOf`],
      [`GIT_CONFIG_VALUE_${index}`, from],
    ]),
  ]) as Record<string, string>;
}
