import { BatchGetProjectsCommand, StartBuildCommand } from '@aws-sdk/client-codebuild';
import type { Builder, BuildRequest } from '../ports/builder.ts';
import { buildProjectName } from '../runtime/aws-names.ts';
import { Problem } from '../runtime/errors.ts';
import { projectsInput, startBuildInput } from './build-requests.ts';
import { builderWords, checkBuildId, findBuildRun, keepBuildRun, runOf, type BuildPlace } from './build-runs.ts';
import { answered, isNamed } from './client.ts';

/**
 * Starts builds as the state machine does. CodeBuild knows one that was started twice within five minutes by its token;
 * later the record of the first start is found, or the build itself among the newest.
 */
export function startBuilds(place: BuildPlace & { readonly roleArnPrefix: string }): Pick<Builder, 'start'> {
  return {
    async start(request) {
      const { buildId } = request.spec;
      checkBuildId(buildId);
      if (await findBuildRun(place, buildId)) return;
      const { build } = await started(place, request);
      if (build?.id) await keepBuildRun(place.records, buildId, runOf(build, place.clock()));
    },
  };
}

/** Whether this installation has a project for every kind of build. */
export function readyToBuild({ client, prefix }: Pick<BuildPlace, 'client' | 'prefix'>): Pick<Builder, 'ready'> {
  return {
    async ready() {
      const command = new BatchGetProjectsCommand(projectsInput(prefix));
      const { projectsNotFound = [] } = await answered(builderWords, client.send(command));
      if (projectsNotFound.length > 0) {
        throw new Problem('unsupported', `CodeBuild has no project ${projectsNotFound.join(', ')}`);
      }
    },
  };
}

async function started(place: Parameters<typeof startBuilds>[0], request: BuildRequest) {
  try {
    const command = new StartBuildCommand(startBuildInput(place, request));
    return await answered(builderWords, place.client.send(command));
  } catch (cause) {
    if (isNamed(cause, 'AccountLimitExceededException')) {
      throw new Problem('busy', 'As many builds run as CodeBuild allows; try again', { cause });
    }
    if (isNamed(cause, 'ResourceNotFoundException')) {
      const project = buildProjectName(place.prefix, request.kind);
      throw new Problem('unsupported', `CodeBuild has no project ${project}`, { cause });
    }
    throw cause;
  }
}
