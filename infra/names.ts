import type { FunctionName, QueuedName } from './permissions.ts';

/** Names of what only the stack and people speak of; those that the code asks by are in `functions/runtime/aws-names.ts`. */
export const stackName = (prefix: string): string => `${prefix}-control-plane`;
export const functionName = (prefix: string, name: FunctionName): string => `${prefix}-${name}`;
export const functionLogGroup = (prefix: string, name: FunctionName): string => `/${prefix}/function/${name}`;
export const queueName = (prefix: string, name: QueuedName): string => `${prefix}-${name}-failed`;
/** Logs that AWS delivers begin so, else the policy of their delivery outgrows its limit: https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html */
export const apiLogGroup = (prefix: string): string => `/aws/vendedlogs/apis/${prefix}`;
export const stateMachineLogGroup = (machine: string): string => `/aws/vendedlogs/states/${machine}`;
/** Callers name the alias: it turns from one version to the next in one moment, code and settings together. */
export const liveAlias = 'live';
/** Where in the bucket of CDK's bootstrap the code of this stack is: builds may read there, and nowhere else in it. */
export const assetPrefix = (prefix: string): string => `${prefix}-control-plane/`;
