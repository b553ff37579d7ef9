import type { Builder } from '../ports/builder.ts';
import { observationOf } from './build-observation.ts';
import { describeRun, findBuildRun, isFresh, type BuildPlace } from './build-runs.ts';

/** Says how a build stands. */
export function observeBuilds(place: BuildPlace): Pick<Builder, 'observe'> {
  return {
    async observe(buildId) {
      const run = await findBuildRun(place, buildId);
      if (!run) return { status: 'unknown' };
      const build = await describeRun(place.client, run.runId);
      if (build) return observationOf(build);
      return isFresh(run, place.clock()) ? { status: 'running', phase: 'submitted' } : { status: 'unknown' };
    },
  };
}
