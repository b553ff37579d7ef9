import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  ObjectOwnership,
  type CfnBucket,
  type LifecycleRule,
} from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { uploadPrefix } from '../functions/runtime/aws-names.ts';
import { acknowledge } from './acknowledge.ts';
import type { Settings } from './config.ts';

/**
 * The artifacts, by digest. Nothing in it is public or travels unencrypted; a blob that was overwritten or removed can
 * be had back for 30 days; kept when the stack is deleted.
 */
export class ArtifactBucket extends Bucket {
  constructor(scope: Construct, id: string, settings: Settings) {
    const { accessLogBucket, prefix } = settings;
    super(scope, id, {
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      versioned: true,
      lifecycleRules: [...lifecycle],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    if (accessLogBucket) this.writeAccessLogsTo(accessLogBucket, prefix);
    else acknowledge(this, accessLogs);
  }

  /** The bucket is somebody else's: it must let S3's log delivery write. */
  private writeAccessLogsTo(name: string, prefix: string): void {
    const cfn = this.node.defaultChild as CfnBucket;
    cfn.loggingConfiguration = { destinationBucketName: name, logFilePrefix: `${prefix}/artifacts/` };
  }
}

const lifecycle: readonly LifecycleRule[] = [
  { id: 'unfinished-parts', abortIncompleteMultipartUploadAfter: Duration.days(7) },
  {
    id: 'unverified-uploads',
    prefix: uploadPrefix,
    expiration: Duration.days(7),
    // What was finished is a blob by then.
    noncurrentVersionExpiration: Duration.days(1),
  },
  { id: 'removed-and-overwritten', noncurrentVersionExpiration: Duration.days(30) },
  { id: 'markers-of-nothing', expiredObjectDeleteMarker: true },
];

const accessLogs = {
  id: 'AwsSolutions-S1',
  reason:
    'Only roles of this account reach it, and its contents are named by digest and immutable; who wants a trail names accessLogBucket in the configuration, or turns on data events in CloudTrail.',
};
