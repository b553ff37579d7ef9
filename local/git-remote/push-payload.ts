import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What a push did to one ref; zeros stand for "not there". */
export type RefChange = { readonly ref: string; readonly before: string; readonly after: string };

export type Repository = {
  /** The path of the bare repository. */
  readonly path: string;
  readonly app: string;
  /** The repository's URL as apps write it. */
  readonly cloneUrl: string;
  readonly env: NodeJS.ProcessEnv;
};

export function isZero(id: string): boolean {
  return /^0+$/.test(id);
}

/**
 * The payload of a push to one ref, in the form of GitHub's.
 * https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
 */
export async function pushPayload(
  repository: Repository,
  { ref, before, after }: RefChange,
  by: { readonly pusher: string; readonly atSeconds: number },
): Promise<Readonly<Record<string, unknown>>> {
  const created = isZero(before);
  const deleted = isZero(after);
  const { app, cloneUrl } = repository;
  return {
    ref,
    before,
    after,
    created,
    deleted,
    forced: !created && !deleted && !(await isAncestor(repository, before, after)),
    base_ref: null,
    commits: [],
    head_commit: deleted ? null : await headCommit(repository, after),
    repository: { name: app, full_name: app, clone_url: cloneUrl, pushed_at: by.atSeconds, default_branch: 'main' },
    pusher: { name: by.pusher },
  };
}

/** Runs Git in a repository; answers with what it prints. Throws when it fails. */
export async function gitIn({ path, env }: Pick<Repository, 'path' | 'env'>, args: readonly string[]): Promise<string> {
  const { stdout } = await run('git', ['-C', path, ...args], {
    env: { ...env, GIT_DIR: '.' },
    maxBuffer: 64 * 1024 ** 2,
  });
  return stdout.trim();
}

async function isAncestor(repository: Repository, before: string, after: string): Promise<boolean> {
  return await gitIn(repository, ['merge-base', '--is-ancestor', before, after]).then(
    () => true,
    () => false,
  );
}

/** The commit that a ref names, by way of an annotated tag, too; null for a tag of something else. */
async function headCommit(repository: Repository, object: string) {
  const format = ['%H', '%T', '%cI', '%an', '%ae', '%B'].join('%x00');
  const shown = await gitIn(repository, ['log', '-1', `--format=${format}`, `${object}^{commit}`, '--']).catch(
    () => '',
  );
  const [id, tree, timestamp, name, email, message] = shown.split('\0');
  if (!id) return null;
  return { id, tree_id: tree, timestamp, message: message?.trim().slice(0, 10_000), author: { name, email } };
}
