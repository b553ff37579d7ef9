import { getApp } from '../apps/registry.ts';
import { environmentOf } from '../deployments/request.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { beginJob, type JobPorts } from './job-turn.ts';
import type { Job } from './job.ts';

export type RepublishRequest = {
  readonly app: string;
  readonly environment: string;
  readonly actor: string;
};

/** Begins to bring what an environment has published there once more. Throws `Problem('not-found')`. */
export async function requestRepublish(
  ports: JobPorts & Pick<ApiPorts, 'newId'>,
  { app, environment, actor }: RepublishRequest,
): Promise<Job> {
  environmentOf(await getApp(ports.records, app), environment);
  const wanted = { work: { kind: 'republish' }, app, repo: environment, createdBy: actor } as const;
  return await beginJob(ports, ports.newId(), wanted);
}
