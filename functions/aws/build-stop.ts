import { setTimeout as pause } from 'node:timers/promises';
import { StopBuildCommand, type CodeBuildClient } from '@aws-sdk/client-codebuild';
import type { Builder } from '../ports/builder.ts';
import { buildKinds, buildProjectName } from '../runtime/aws-names.ts';
import { Problem } from '../runtime/errors.ts';
import { hasEnded } from './build-observation.ts';
import { stopBuildInput } from './build-requests.ts';
import {
  builderWords,
  checkBuildId,
  describeRun,
  recallBuildRun,
  searchBuilds,
  type BuildPlace,
  type BuildRun,
} from './build-runs.ts';
import { answered, isNamed } from './client.ts';

export type StopPlace = BuildPlace & {
  /** Between two looks at a build that is ending; default 1000. */
  readonly pauseMs?: number;
  /** How often it is looked whether a build has ended, before `Problem('busy')`; default 15. */
  readonly looks?: number;
};

/**
 * Stops every run of a build, queued ones too. A workflow that was begun anew may have started a second one, so those
 * that run are looked for. Throws `Problem('busy')` when one has not ended after so many looks: it is being stopped then.
 */
export function stopBuilds(place: StopPlace): Pick<Builder, 'stop'> {
  return {
    async stop(buildId) {
      checkBuildId(buildId);
      const known = await recallBuildRun(place.records, buildId);
      const kinds = buildKinds.filter((kind) => !known || isOf(known, buildProjectName(place.prefix, kind)));
      const found = await searchBuilds(place, buildId, kinds);
      const runIds = new Set([...found, ...(known ? [known] : [])].map(({ runId }) => runId));
      await Promise.all([...runIds].map(async (runId) => await stopRun(place, runId)));
    },
  };
}

function isOf({ runId }: BuildRun, project: string): boolean {
  return runId.startsWith(`${project}:`);
}

async function stopRun({ client, pauseMs = 1000, looks = 15 }: StopPlace, runId: string): Promise<void> {
  const before = await describeRun(client, runId);
  if (before && hasEnded(before)) return;
  if (!(await askToStop(client, runId))) return;
  for (let look = 0; look < looks; look += 1) {
    const build = await describeRun(client, runId);
    if (build && hasEnded(build)) return;
    await pause(pauseMs);
  }
  throw new Problem('busy', 'The build is being stopped and has not ended yet; try again');
}

/** False when there is no such build. */
async function askToStop(client: CodeBuildClient, runId: string): Promise<boolean> {
  try {
    await answered(builderWords, client.send(new StopBuildCommand(stopBuildInput(runId))));
    return true;
  } catch (error) {
    if (isNamed(error, 'ResourceNotFoundException')) return false;
    // It may have ended just now: the looks that follow decide.
    if (isNamed(error, 'InvalidInputException')) return true;
    throw error;
  }
}
