import type { Context } from 'hono';
import { refusalOf, type Resource } from '../access/principal.ts';
import { Problem } from '../runtime/errors.ts';
import { principalOf, type ApiEnv } from './request-context.ts';

export { mayRead } from '../access/principal.ts';

/**
 * Sees to it that the token of a request allows what the request turned out to be about: what stands in its body, or in
 * the records it names. What stands in its path was looked at before. The audit log tells of it as well.
 * Throws `Problem('forbidden')`.
 *
 * ```ts
 * const build = await getUploadBuild(records, id);
 * permit(c, { build: build.id, repo: build.repo, app: build.app, appId: build.appId });
 * ```
 */
export function permit(c: Context<ApiEnv>, resource: Resource): void {
  c.set('about', { ...c.get('about'), ...given(resource) });
  const refusal = refusalOf(principalOf(c), resource);
  if (refusal !== undefined) throw insufficient(refusal);
}

/** The words of flat-manager for a token that does not allow something, and why. */
export function insufficient(reason: string): Problem {
  return new Problem('forbidden', `Not enough permissions: ${reason}`);
}

function given(resource: Resource): Resource {
  return Object.fromEntries(Object.entries(resource).filter(([, value]) => value !== undefined));
}
