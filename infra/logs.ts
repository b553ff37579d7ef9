import { RemovalPolicy } from 'aws-cdk-lib';
import type { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Settings } from './config.ts';

/** Logs are kept for the configured time, and go with the stack. */
export function logGroupOptions({ logDays }: Settings) {
  // The enum's values are the days.
  return { retention: logDays as RetentionDays, removalPolicy: RemovalPolicy.DESTROY };
}
