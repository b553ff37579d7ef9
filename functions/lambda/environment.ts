import * as v from 'valibot';
import { defaultLimits, defaultOidc } from '../ports/limits.ts';
import type { Limits, Policy } from '../ports/ports.ts';
import { prefixPattern } from '../runtime/aws-names.ts';
import type { LogLevel } from '../runtime/log.ts';

const like = (pattern: RegExp, expected: string) => v.pipe(v.string(expected), v.regex(pattern, expected));

const count = (byDefault: number) =>
  v.pipe(v.optional(like(/^[1-9]\d{0,15}$/, 'a whole number of at least 1'), String(byDefault)), v.transform(Number));
const stateMachine = /^arn:[a-z-]+:states:[a-z0-9-]+:\d{12}:stateMachine:[A-Za-z0-9_-]{1,80}$/;

/** What the stack gives every function; see `infra/control-plane-stack.ts`. */
const entries = {
  SLUICE_PREFIX: like(prefixPattern, '1 to 16 lower-case letters, digits and inner dashes, a letter first'),
  SLUICE_TABLE: like(/^[A-Za-z0-9_.-]{3,255}$/, 'the name of the DynamoDB table'),
  SLUICE_BUCKET: like(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'the name of the S3 bucket'),
  SLUICE_STATE_MACHINE_ARN: like(stateMachine, 'the ARN of the state machine'),
  SLUICE_JOB_MACHINE_ARN: like(stateMachine, 'the ARN of the state machine of jobs'),
  LOG_LEVEL: v.optional(
    v.picklist(['debug', 'info', 'warn', 'error', 'silent'], 'debug, info, warn, error or silent'),
    'info',
  ),
  SLUICE_VERSION: v.optional(like(/^[!-~]{1,64}$/, '1 to 64 characters without blanks'), 'unknown'),
  SLUICE_RATE_PER_MINUTE: count(defaultLimits.requestsPerMinute),
  SLUICE_MAX_OBJECT_BYTES: count(defaultLimits.objectBytes),
  SLUICE_MAX_BUILD_BYTES: count(defaultLimits.buildBytes),
  SLUICE_MAX_BUILD_OBJECTS: count(defaultLimits.buildObjects),
  SLUICE_MAX_APP_BYTES: count(defaultLimits.appBytes),
  SLUICE_OIDC_ISSUER: v.optional(like(/^https:\/\/[!-~]{1,500}$/, 'an https URL'), defaultOidc.issuer),
  SLUICE_OIDC_AUDIENCE: v.optional(like(/^[!-~]{1,255}$/, '1 to 255 characters without blanks'), defaultOidc.audience),
};

export type Environment = {
  readonly prefix: string;
  readonly table: string;
  readonly bucket: string;
  readonly stateMachineArn: string;
  readonly jobMachineArn: string;
  readonly logLevel: LogLevel;
  /** What is installed, for people; `unknown` where nobody says. */
  readonly version: string;
  readonly limits: Limits;
  readonly oidc: Policy['oidc'];
};

/**
 * The settings of a function. Throws an error that names every variable that is missing or wrong and what was expected,
 * and no value: a function with a wrong setting fails at its start, and says why.
 */
export function parseEnvironment(variables: Readonly<Record<string, string | undefined>>): Environment {
  const parsed = Object.entries(entries).map(([name, schema]) => {
    const result = v.safeParse(schema, variables[name]);
    if (result.success) return { name, value: result.output };
    const expected = result.issues[0].message;
    return { issue: `${name}${variables[name] === undefined ? ' is missing' : ''}: expected ${expected}` };
  });
  const issues = parsed.flatMap(({ issue }) => issue ?? []);
  if (issues.length > 0) throw new Error(`The environment is not valid. ${issues.join('. ')}`);
  const values = Object.fromEntries(parsed.map(({ name, value }) => [name, value])) as Values;
  return {
    prefix: values.SLUICE_PREFIX,
    table: values.SLUICE_TABLE,
    bucket: values.SLUICE_BUCKET,
    stateMachineArn: values.SLUICE_STATE_MACHINE_ARN,
    jobMachineArn: values.SLUICE_JOB_MACHINE_ARN,
    logLevel: values.LOG_LEVEL,
    version: values.SLUICE_VERSION,
    limits: {
      requestsPerMinute: values.SLUICE_RATE_PER_MINUTE,
      objectBytes: values.SLUICE_MAX_OBJECT_BYTES,
      buildBytes: values.SLUICE_MAX_BUILD_BYTES,
      buildObjects: values.SLUICE_MAX_BUILD_OBJECTS,
      appBytes: values.SLUICE_MAX_APP_BYTES,
    },
    oidc: { issuer: values.SLUICE_OIDC_ISSUER, audience: values.SLUICE_OIDC_AUDIENCE },
  };
}
type Values = { readonly [Name in keyof typeof entries]: v.InferOutput<(typeof entries)[Name]> };

/** Those of this process; the one place of the functions that reads `process.env`. */
export function readEnvironment(): Environment {
  return parseEnvironment(process.env);
}
