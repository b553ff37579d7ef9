import type { Builder } from '../ports/builder.ts';
import { readBuildLogs, type BuildLogPlace } from './build-logs.ts';
import { observeBuilds } from './build-observe.ts';
import { readyToBuild, startBuilds } from './build-start.ts';
import { stopBuilds, type StopPlace } from './build-stop.ts';

export type CodeBuildOptions = BuildLogPlace & StopPlace & { readonly roleArnPrefix: string };

/**
 * The Builder port on CodeBuild and CloudWatch Logs, whole. An entry point takes only the parts it needs: each is in a
 * file of its own, and what calls a function's code can make is what its role must grant.
 */
export function codeBuildBuilder(options: CodeBuildOptions): Builder {
  return {
    ...startBuilds(options),
    ...observeBuilds(options),
    ...stopBuilds(options),
    ...readBuildLogs(options),
    ...readyToBuild(options),
  };
}
