import type { ECRClient } from '@aws-sdk/client-ecr';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { quickCalls, slowCalls, transferCalls } from './client.ts';

/**
 * The clients of the build agent, each loaded by the step that asks for it: most steps need one of them or none.
 * Region and credential are those of the build (`AWS_REGION`, `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`).
 */
export async function newSecretsManagerClient(): Promise<SecretsManagerClient> {
  return new (await import('@aws-sdk/client-secrets-manager')).SecretsManagerClient({ ...quickCalls });
}
export async function newS3Client(): Promise<S3Client> {
  return new (await import('@aws-sdk/client-s3')).S3Client({ ...transferCalls });
}
export async function newEcrClient(): Promise<ECRClient> {
  return new (await import('@aws-sdk/client-ecr')).ECRClient({ ...slowCalls });
}
