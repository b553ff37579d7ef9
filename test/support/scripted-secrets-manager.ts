import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { quickCalls } from '../../functions/aws/client.ts';
import { awsError, scriptAws, testAwsConfig } from './scripted-aws.ts';

/**
 * Secrets Manager in memory, as far as the Secrets port asks it: labels that move, versions without one that may go,
 * deletions that take a moment. Shapes, errors and their names are those of its API reference.
 */
type Secret = {
  readonly arn: string;
  readonly versions: Map<string, { readonly value: string; readonly stages: Set<string> }>;
  deleted: boolean;
  /** How many more calls find it marked for deletion before it is gone; it stays so when undefined. */
  lingers?: number;
};
// oxlint-disable-next-line typescript/no-explicit-any
type Input = any;

export type ScriptedSecretsManager = {
  readonly client: SecretsManagerClient;
  readonly asked: { operation: string; input: Input }[];
  /** Comes before an operation; throws what is to be answered. */
  before: ((operation: string, input: Input) => unknown) | undefined;
  /** Comes when an operation is done; throws what the caller gets instead of its answer. */
  after: ((operation: string, input: Input) => unknown) | undefined;
  /** For how many calls a secret that was removed is still seen, marked for deletion. */
  lingering: number;
  /** What a person does by AWS's own tools: a deletion after some days. */
  scheduleDeletion(name: string): void;
  /** What Secrets Manager may do at any time: removes the versions without a label. */
  purgeDeprecated(): void;
  labels(name: string): Record<string, string[]>;
};

export function scriptedSecretsManager(config: { maxAttempts?: number } = {}): ScriptedSecretsManager {
  const secrets = new Map<string, Secret>();
  let made = 0;
  const client = new SecretsManagerClient({ ...quickCalls, ...testAwsConfig, ...config });
  const manager: ScriptedSecretsManager = {
    client,
    asked: [],
    before: undefined,
    after: undefined,
    lingering: 0,
    scheduleDeletion(name) {
      const secret = secrets.get(name);
      if (secret) secret.deleted = true;
    },
    purgeDeprecated() {
      for (const { versions } of secrets.values()) {
        for (const [id, { stages }] of versions) if (stages.size === 0) versions.delete(id);
      }
    },
    labels: (name) => labelsOf(secrets.get(name)),
  };

  function seen(name: string): Secret {
    const secret = secrets.get(name);
    if (secret?.lingers !== undefined && (secret.lingers -= 1) < 0) secrets.delete(name);
    const found = secrets.get(name);
    if (!found) throw awsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
    return found;
  }
  function usable(name: string): Secret {
    const secret = seen(name);
    if (secret.deleted) throw awsError('InvalidRequestException', 'It was marked for deletion.');
    return secret;
  }
  const operations: Record<string, (input: Input) => unknown> = {
    CreateSecret({ Name }) {
      const there = secrets.has(Name) ? seenOrGone(Name) : undefined;
      if (there?.deleted)
        throw awsError('InvalidRequestException', 'A secret with this name is scheduled for deletion.');
      if (there) throw awsError('ResourceExistsException');
      made += 1;
      const arn = `arn:aws:secretsmanager:eu-central-1:123456789012:secret:${Name}-${String(made).padStart(6, 'a')}`;
      secrets.set(Name, { arn, versions: new Map(), deleted: false });
      return { ARN: arn, Name };
    },
    PutSecretValue({ SecretId, ClientRequestToken: id, SecretString: value, VersionStages }) {
      const { versions } = usable(SecretId);
      const there = versions.get(id);
      if (there && there.value !== value) throw awsError('ResourceExistsException', 'A version never changes.');
      if (!there) publish(versions, id, { value, stages: VersionStages });
      return { VersionId: id };
    },
    GetSecretValue({ SecretId, VersionId }) {
      const { versions } = usable(SecretId);
      const id = VersionId ?? [...versions].find(([, { stages }]) => stages.has('AWSCURRENT'))?.[0];
      const version = versions.get(id);
      if (!version) throw awsError('ResourceNotFoundException', "Secrets Manager can't find the specified version.");
      return { SecretString: version.value, VersionId: id };
    },
    DescribeSecret({ SecretId }) {
      const secret = seen(SecretId);
      const DeletedDate = secret.deleted ? { DeletedDate: new Date() } : {};
      return { ARN: secret.arn, Name: SecretId, VersionIdsToStages: labelsOf(secret), ...DeletedDate };
    },
    DeleteSecret({ SecretId, ForceDeleteWithoutRecovery }) {
      if (!ForceDeleteWithoutRecovery) throw new Error('no test schedules a deletion by the API');
      // "If you forcibly delete an already deleted or nonexistent secret, the operation does not return
      // ResourceNotFoundException."
      const secret = secrets.get(SecretId);
      if (secret && manager.lingering > 0) Object.assign(secret, { deleted: true, lingers: manager.lingering });
      else secrets.delete(SecretId);
      return { Name: SecretId };
    },
    /** Two to a page. */
    ListSecrets({ Filters: [filter], NextToken, MaxResults }) {
      const names = [...secrets.keys()].filter(
        (name) => name.startsWith(filter.Values[0]) && !secrets.get(name)?.deleted,
      );
      const after = names.sort().filter((name) => name > (NextToken ?? ''));
      const page = after.slice(0, Math.min(2, MaxResults));
      return {
        SecretList: page.map((Name) => ({ Name, SecretVersionsToStages: labelsOf(secrets.get(Name)) })),
        ...(after.length > page.length ? { NextToken: page.at(-1) } : {}),
      };
    },
  };
  function seenOrGone(name: string): Secret | undefined {
    try {
      return seen(name);
    } catch {
      return undefined;
    }
  }
  scriptAws(client, async (operation, input) => {
    manager.asked.push({ operation, input });
    await manager.before?.(operation, input);
    const run = operations[operation];
    if (!run) throw new Error(`Secrets Manager was asked for ${operation}, which it was not taught`);
    const output = run(input);
    await manager.after?.(operation, input);
    return output;
  });
  return manager;
}

/** A label is on one version only; AWSPREVIOUS follows AWSCURRENT. At most 20 labels. */
function publish(versions: Secret['versions'], id: string, version: { value: string; stages: string[] }): void {
  const before = [...versions.values()].find(({ stages }) => stages.has('AWSCURRENT'));
  const promoted = version.stages.includes('AWSCURRENT');
  for (const { stages } of versions.values()) {
    for (const label of version.stages) stages.delete(label);
    if (promoted) stages.delete('AWSPREVIOUS');
  }
  if (promoted) before?.stages.add('AWSPREVIOUS');
  versions.set(id, { value: version.value, stages: new Set(version.stages) });
  const labels = [...versions.values()].flatMap(({ stages }) => [...stages]);
  if (labels.length > 20) throw awsError('LimitExceededException');
}

/** Only versions with a label are told of. */
function labelsOf(secret: Secret | undefined): Record<string, string[]> {
  const labelled = [...(secret?.versions ?? [])].filter(([, { stages }]) => stages.size > 0);
  return Object.fromEntries(labelled.map(([id, { stages }]) => [id, [...stages]]));
}
