import { jobLog } from '../builds/job-log.ts';
import type { Job } from '../builds/job.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { jobShape, type JobView } from './build-shapes.ts';
import { jobView } from './build-view.ts';
import { named } from './describe.ts';

export const job = named('Job', jobShape);

/** A job, with what it has told behind so many characters. */
export async function answerJob(ports: Pick<ApiPorts, 'builder'>, found: Job, offset: number): Promise<JobView> {
  return jobView(found, { log: await jobLog(ports, found), offset });
}
