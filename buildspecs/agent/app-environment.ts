import { mkdir } from 'node:fs/promises';
import type { Environment, Outside } from './outside.ts';

/**
 * What a stranger's code may know, and folders of its own to write to: nothing of the control plane's own, no secret, and
 * no way to one.
 */
export async function appEnvironment({ work, environment, spec }: Outside): Promise<Environment> {
  await mkdir(work.home, { recursive: true });
  await mkdir(work.temporary, { recursive: true });
  const passedOn = Object.entries(environment).filter(([name]) => passes.test(name));
  return {
    ...Object.fromEntries(passedOn),
    HOME: work.home,
    TMPDIR: work.temporary,
    LANG: 'C.UTF-8',
    CI: 'true',
    SLUICE_APP: spec.app,
  };
}

/** Where programs and the way to the internet are; and the mark, by which the builder finds every process of a build. */
const passes = /^(?:PATH|SLUICE_MARK|TZ|https?_proxy|no_proxy|all_proxy|SSL_CERT_(?:FILE|DIR)|NODE_EXTRA_CA_CERTS)$/i;
