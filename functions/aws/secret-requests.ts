import type {
  CreateSecretCommandInput,
  DeleteSecretCommandInput,
  DescribeSecretCommandInput,
  GetSecretValueCommandInput,
  ListSecretsCommandInput,
  PutSecretValueCommandInput,
} from '@aws-sdk/client-secrets-manager';
import { secretName } from '../runtime/aws-names.ts';
import { Problem } from '../runtime/errors.ts';

/** What is asked of Secrets Manager, as pure values; names are those of the Secrets port. */

/** A version's name is a request's token, and such tokens have 32 to 64 characters. */
const versionPattern = /^[A-Za-z0-9-]{32,64}$/;
const namePattern = /^(?=.{1,480}$)[a-z0-9-]{1,200}(?:\/[a-z0-9-]{1,200})*$/;
const prefixPattern = /^(?:[a-z0-9-]{1,200}\/)*$/;
/** https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html */
const maxValueBytes = 65_536;

const currentLabel = 'AWSCURRENT';

/**
 * A version without a label is deprecated, and Secrets Manager removes those when there are more than 100 and they are
 * older than a day; one with a label it keeps. A secret has at most 20 labels, and AWSCURRENT, AWSPREVIOUS and
 * AWSPENDING are its own. So each new version takes the next of 16 labels of ours, from the version that had it.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html (VersionIdsToStages)
 */
export const keptVersions = 16;
const labelPattern = /^sluice-(\d+)$/;

export type VersionLabels = Readonly<Record<string, readonly string[]>>;

/** The label for the version after the current one; also for two writers at once: then one of their versions has none. */
export function nextLabel(labels: VersionLabels): string {
  const ofCurrent = Object.values(labels).find((stages) => stages.includes(currentLabel)) ?? [];
  const slots = ofCurrent.flatMap((label) => labelPattern.exec(label)?.[1] ?? []).map(Number);
  return `sluice-${slots.length === 0 ? 0 : (Math.max(...slots) + 1) % keptVersions}`;
}

export function currentVersion(labels: VersionLabels): string | undefined {
  return Object.entries(labels).find(([, stages]) => stages.includes(currentLabel))?.[0];
}

/** A secret without a version: the first comes like every other, with its label. */
export function createInput(prefix: string, name: string): CreateSecretCommandInput {
  return { Name: secretName(prefix, checkName(name)) };
}

/** The token becomes the version's name, so a call that is repeated makes one version. */
export function putInput(
  prefix: string,
  name: string,
  version: { readonly id: string; readonly value: string; readonly label: string },
): PutSecretValueCommandInput {
  return {
    SecretId: secretName(prefix, checkName(name)),
    ClientRequestToken: version.id,
    SecretString: version.value,
    VersionStages: [currentLabel, version.label],
  };
}

export function getInput(prefix: string, name: string, version: string | undefined): GetSecretValueCommandInput {
  return { SecretId: secretName(prefix, checkName(name)), ...(version === undefined ? {} : { VersionId: version }) };
}

/** A version by its label, as Secrets Manager moves them along when a new one is written. */
export function rotatedInput(
  prefix: string,
  name: string,
  stage: 'AWSCURRENT' | 'AWSPREVIOUS',
): GetSecretValueCommandInput {
  return { SecretId: secretName(prefix, checkName(name)), VersionStage: stage };
}

export function describeInput(prefix: string, name: string): DescribeSecretCommandInput {
  return { SecretId: secretName(prefix, checkName(name)) };
}

/** At once and for good: the port's `remove` leaves nothing, and the name is free again. */
export function deleteInput(prefix: string, name: string): DeleteSecretCommandInput {
  return { SecretId: secretName(prefix, checkName(name)), ForceDeleteWithoutRecovery: true };
}

/** The filter takes the beginning of names, in the case that is given. */
export function listInput(prefix: string, under: string, after: string | undefined): ListSecretsCommandInput {
  if (!prefixPattern.test(under)) throw invalid('prefix', 'lower-case words, each followed by /');
  return {
    Filters: [{ Key: 'name', Values: [secretName(prefix, under)] }],
    MaxResults: 100,
    ...(after === undefined ? {} : { NextToken: after }),
  };
}

export function isVersion(text: string): boolean {
  return versionPattern.test(text);
}

export function checkName(name: string): string {
  if (namePattern.test(name)) return name;
  throw invalid('name', 'words of lower-case letters, digits and dashes, parted by /, at most 480 characters');
}

/** Text that is not well-formed UTF-16 would come back changed. */
export function checkValue(value: string): void {
  if (value === '' || !value.isWellFormed()) throw invalid('value', 'text that is not empty');
  if (Buffer.byteLength(value) <= maxValueBytes) return;
  throw new Problem('too-large', `A secret holds at most ${maxValueBytes} bytes`);
}

function invalid(field: string, expected: string): Problem {
  return new Problem('invalid', `${field}: expected ${expected}`, { issues: [{ field, expected }] });
}
