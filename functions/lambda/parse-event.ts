import * as v from 'valibot';
import type { EpochMs } from '../runtime/units.ts';

/** What an event tells, as far as somebody here is concerned. */
export type Happening = { readonly id: string } & (
  | { readonly kind: 'build'; readonly detail: unknown; readonly at: EpochMs }
  | { readonly kind: 'service'; readonly serviceArn: string }
  | { readonly kind: 'execution'; readonly executionArn: string; readonly ranMs: number }
);

const serviceArn = v.pipe(v.string(), v.regex(/^arn:[a-z-]+:ecs:[a-z0-9-]+:\d{12}:service\/[^/]+\/[^/]+$/));
const id = v.optional(v.string(), '');
/** An event that names its service as its one resource. */
const ofService = {
  id,
  source: v.literal('aws.ecs'),
  resources: v.looseTuple([serviceArn]),
};
const named = v.looseObject({ 'detail-type': v.string() });

/**
 * The events that are asked for in `infra/events.ts`, by `detail-type`, in the shapes that AWS documents. Each schema
 * takes the whole event and gives what it tells; undefined for one that tells nobody here anything.
 */
const schemas: Readonly<Record<string, v.GenericSchema<unknown, Happening | undefined>>> = {
  /** https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications-ref.html */
  'CodeBuild Build State Change': v.pipe(
    v.object({
      id,
      source: v.literal('aws.codebuild'),
      time: v.pipe(v.string(), v.isoTimestamp()),
      detail: v.looseObject({}),
    }),
    v.transform(({ id, time, detail }) => ({ id, kind: 'build' as const, detail, at: Date.parse(time) })),
  ),
  /** https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html */
  'ECS Deployment State Change': v.pipe(
    v.object(ofService),
    v.transform(({ id, resources: [serviceArn] }) => ({ id, kind: 'service' as const, serviceArn })),
  ),
  /** https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_events.html */
  'ECS Service Action': v.pipe(
    v.object(ofService),
    v.transform(({ id, resources: [serviceArn] }) => ({ id, kind: 'service' as const, serviceArn })),
  ),
  /**
   * A task names its cluster by ARN and its service as its group: `service:web-dev`.
   * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
   */
  'ECS Task State Change': v.pipe(
    v.object({
      id,
      source: v.literal('aws.ecs'),
      detail: v.object({
        clusterArn: v.pipe(v.string(), v.regex(/^arn:[a-z-]+:ecs:[a-z0-9-]+:\d{12}:cluster\/[^/]+$/)),
        group: v.optional(v.string(), ''),
      }),
    }),
    v.transform(({ id, detail: { clusterArn, group } }) => {
      const service = /^service:([^/]+)$/.exec(group)?.[1];
      if (service === undefined) return undefined;
      return { id, kind: 'service' as const, serviceArn: `${clusterArn.replace(':cluster/', ':service/')}/${service}` };
    }),
  ),
  /**
   * `stopDate` is null while it runs, and then nothing is left to do.
   * https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
   */
  'Step Functions Execution Status Change': v.pipe(
    v.object({
      id,
      source: v.literal('aws.states'),
      detail: v.object({
        executionArn: v.pipe(v.string(), v.regex(/^arn:[^:]+:states:[^:]+:\d{12}:execution:[^:]+:[^:]+$/)),
        status: v.string(),
        startDate: v.number(),
        stopDate: v.nullish(v.number()),
      }),
    }),
    v.transform(({ id, detail: { executionArn, startDate, stopDate } }) => {
      if (typeof stopDate !== 'number') return undefined;
      return { id, kind: 'execution' as const, executionArn, ranMs: stopDate - startDate };
    }),
  ),
};

/** What an event tells; undefined for one of another kind. Fails for what is not as it is documented. */
export const parseEvent: v.GenericSchema<unknown, Happening | undefined> = v.pipe(
  named,
  v.rawTransform(({ dataset: { value }, addIssue, NEVER }) => {
    const schema = Object.hasOwn(schemas, value['detail-type']) ? schemas[value['detail-type']] : undefined;
    if (!schema) return undefined;
    const parsed = v.safeParse(schema, value);
    if (parsed.success) return parsed.output;
    const [issue] = parsed.issues;
    addIssue({ message: issue.message, ...(issue.path ? { path: issue.path } : {}) });
    return NEVER;
  }),
);
