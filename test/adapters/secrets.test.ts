import { beforeEach, describe, expect, it } from 'vitest';
import { currentForMs, secretCache, versionForMs } from '../../functions/aws/secret-cache.ts';
import {
  createInput,
  deleteInput,
  describeInput,
  getInput,
  keptVersions,
  listInput,
  nextLabel,
  putInput,
} from '../../functions/aws/secret-requests.ts';
import { awsSecrets, describeSecrets, readSecrets, secretReferences } from '../../functions/aws/secrets.ts';
import type { Secrets } from '../../functions/ports/secrets.ts';
import { awsError } from '../support/scripted-aws.ts';
import { scriptedSecretsManager, type ScriptedSecretsManager } from '../support/scripted-secrets-manager.ts';

const name = 'apps/web/secret/key';
const id = 'a4f3c2b1-0000-4000-8000-000000000001';

describe('what is asked of Secrets Manager', () => {
  it('names secrets by the installation', () => {
    expect(createInput('sluice', name)).toEqual({ Name: 'sluice/apps/web/secret/key' });
    expect(describeInput('sluice', name)).toEqual({ SecretId: 'sluice/apps/web/secret/key' });
    expect(getInput('sluice', name, undefined)).toEqual({ SecretId: 'sluice/apps/web/secret/key' });
    expect(getInput('sluice', name, id)).toEqual({ SecretId: 'sluice/apps/web/secret/key', VersionId: id });
  });

  it('makes a version current, with a name and a label of its own', () => {
    expect(putInput('sluice', name, { id, value: 'hunter2', label: 'sluice-3' })).toEqual({
      SecretId: 'sluice/apps/web/secret/key',
      ClientRequestToken: id,
      SecretString: 'hunter2',
      VersionStages: ['AWSCURRENT', 'sluice-3'],
    });
  });

  it('deletes at once', () => {
    expect(deleteInput('sluice', name)).toEqual({
      SecretId: 'sluice/apps/web/secret/key',
      ForceDeleteWithoutRecovery: true,
    });
  });

  it('lists by the beginning of names, page by page', () => {
    const first = { Filters: [{ Key: 'name', Values: ['sluice/apps/web/'] }], MaxResults: 100 };
    expect(listInput('sluice', 'apps/web/', undefined)).toEqual(first);
    expect(listInput('sluice', 'apps/web/', 'token')).toEqual({ ...first, NextToken: 'token' });
  });

  it.each([
    [{}, 'sluice-0'],
    [{ a: ['AWSCURRENT'] }, 'sluice-0'],
    [{ a: ['AWSPREVIOUS', 'sluice-8'], b: ['AWSCURRENT', 'sluice-9'] }, 'sluice-10'],
    [{ a: ['AWSCURRENT', `sluice-${keptVersions - 1}`] }, 'sluice-0'],
    [{ a: ['AWSCURRENT', 'sluice-x', 'mine'] }, 'sluice-0'],
  ])('after the labels %j comes %s', (labels, next) => {
    expect(nextLabel(labels)).toBe(next);
  });
});

describe('secrets in Secrets Manager', () => {
  let now: number;
  /** Milliseconds, all together. */
  let waited: number;
  let manager: ScriptedSecretsManager;
  let secrets: Secrets;
  beforeEach(() => {
    now = 1_800_000_000_000;
    manager = scriptedSecretsManager();
    waited = 0;
    const sleep = async (milliseconds: number) => void (waited += milliseconds);
    secrets = awsSecrets({ client: manager.client, prefix: 'sluice', clock: () => now, sleep });
  });
  const asked = (operation: string) => manager.asked.filter((one) => one.operation === operation).length;

  it('keep the last 16 versions and the current one whatever is cleared away, and 18 labels in all', async () => {
    const written: { version: string }[] = [];
    for (let count = 0; count < 40; count += 1) written.push(await secrets.write(name, `value ${count}`));
    manager.purgeDeprecated();
    const labels = Object.values(manager.labels(`sluice/${name}`)).flat();
    expect(labels).toHaveLength(keptVersions + 2);
    for (const [index, { version }] of written.entries()) {
      const read = secrets.read(name, version);
      if (index < 40 - keptVersions) await expect(read).rejects.toMatchObject({ kind: 'not-found' });
      else expect((await read).value).toBe(`value ${index}`);
    }
  });

  it('are one version when the answer to a write is lost', async () => {
    let lost = 0;
    manager.after = (operation) => {
      if (operation === 'PutSecretValue' && (lost += 1) === 1) throw awsError('InternalServiceError', undefined, 500);
    };
    const { version } = await secrets.write(name, 'hunter2');
    expect(lost).toBe(2);
    expect(Object.keys(manager.labels(`sluice/${name}`))).toEqual([version]);
    expect(await secrets.findVersion(name)).toBe(version);
  });

  it('are written when two make them at the same time', async () => {
    const other = awsSecrets({ client: manager.client, prefix: 'sluice', clock: () => now });
    manager.before = async (operation) => {
      if (operation !== 'CreateSecret') return;
      manager.before = undefined;
      await other.write(name, 'theirs');
    };
    const { version } = await secrets.write(name, 'mine');
    expect(await secrets.read(name)).toEqual({ value: 'mine', version });
    expect(Object.keys(manager.labels(`sluice/${name}`))).toHaveLength(2);
  });

  it('are written when they were made but not filled', async () => {
    manager.before = (operation) => {
      if (operation === 'PutSecretValue') throw awsError('AccessDeniedException');
    };
    await expect(secrets.write(name, 'hunter2')).rejects.toMatchObject({ name: 'AccessDeniedException' });
    manager.before = undefined;
    expect(await secrets.findVersion(name)).toBeUndefined();
    expect(await secrets.list('')).toEqual([]);
    await expect(secrets.read(name)).rejects.toMatchObject({ kind: 'not-found' });
    const { version } = await secrets.write(name, 'hunter2');
    expect(await secrets.read(name)).toEqual({ value: 'hunter2', version });
  });

  it('are written when a new one is not seen at once', async () => {
    let unseen = 2;
    manager.before = (operation) => {
      if (operation === 'PutSecretValue' && (unseen -= 1) >= 0) throw awsError('ResourceNotFoundException');
    };
    const { version } = await secrets.write(name, 'hunter2');
    expect(asked('CreateSecret')).toBe(1);
    expect(await secrets.findVersion(name)).toBe(version);
  });

  it('are told as written only when others see it', async () => {
    await secrets.write(name, 'one');
    const seen: boolean[] = [];
    let hidden = 2;
    manager.before = (operation) => {
      const wrote = asked('PutSecretValue') === 2;
      if (operation !== 'DescribeSecret' || !wrote) return;
      seen.push((hidden -= 1) < 0);
      if (hidden >= 0) throw awsError('ResourceNotFoundException');
    };
    await secrets.write(name, 'two');
    expect(seen).toEqual([false, false, true]);
  });

  it('wait for one of that name to be gone', async () => {
    await secrets.write(name, 'old');
    manager.lingering = 3;
    await secrets.remove(name);
    const { version } = await secrets.write(name, 'new');
    expect(Object.keys(manager.labels(`sluice/${name}`))).toEqual([version]);
  });

  it('say so when somebody else has scheduled one for deletion, and do not restore it', async () => {
    await secrets.write(name, 'old');
    manager.scheduleDeletion(`sluice/${name}`);
    expect(await secrets.findVersion(name)).toBeUndefined();
    await expect(secrets.read(name, id)).rejects.toMatchObject({ kind: 'not-found' });
    const write = secrets.write(name, 'hunter2');
    await expect(write).rejects.toMatchObject({ kind: 'conflict', message: expect.stringContaining(name) as string });
    await expect(write).rejects.not.toThrow('hunter2');
    // Within what API Gateway grants, and long enough for a deletion at once.
    expect(waited).toBeGreaterThan(5000);
    expect(waited).toBeLessThan(10_000);
  });

  it('say so when they are written too often', async () => {
    // One attempt, as the SDK takes the quota's end for a throttle and would wait for 10 s.
    const full = scriptedSecretsManager({ maxAttempts: 1 });
    full.before = (operation) => {
      if (operation === 'PutSecretValue') throw awsError('LimitExceededException');
    };
    const written = awsSecrets({ client: full.client, prefix: 'sluice', clock: () => now }).write(name, 'hunter2');
    await expect(written).rejects.toMatchObject({ kind: 'too-many-requests' });
  });

  it('are tried again when Secrets Manager throttles, and busy when it keeps failing', async () => {
    await secrets.write(name, 'hunter2');
    let failures = 1;
    manager.before = () => {
      if ((failures -= 1) >= 0) throw awsError('ThrottlingException');
    };
    expect((await secrets.read(name)).value).toBe('hunter2');
    const down = scriptedSecretsManager({ maxAttempts: 2 });
    down.before = () => {
      throw awsError('InternalServiceError', undefined, 500);
    };
    const failing = awsSecrets({ client: down.client, prefix: 'sluice', clock: () => now });
    for (const call of [
      async () => await failing.read(name),
      async () => await failing.write(name, 'x'),
      async () => await failing.findVersion(name),
      async () => await failing.list(''),
      async () => await failing.remove(name),
      async () => await failing.ready(),
    ]) {
      await expect(call()).rejects.toMatchObject({ name: 'Problem', kind: 'busy' });
    }
  });

  it('are listed page by page, without those of another installation', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'].map((last) => `apps/web/${last}`);
    for (const one of names) await secrets.write(one, 'x');
    await awsSecrets({ client: manager.client, prefix: 'sluice-2', clock: () => now }).write('apps/web/f', 'x');
    expect(await secrets.list('apps/web/')).toEqual(names);
    expect(asked('ListSecrets')).toBe(3);
  });

  describe('what is remembered', () => {
    it('is a current version for a minute, and one that was named for a quarter of an hour', async () => {
      const { version } = await secrets.write(name, 'one');
      const reader = readSecrets({ client: manager.client, prefix: 'sluice', cache: secretCache(() => now) });
      await reader.read(name);
      await reader.read(name, version);
      const second = await secrets.write(name, 'two');
      now += currentForMs - 1;
      expect((await reader.read(name)).value).toBe('one');
      now += 1;
      expect(await reader.read(name)).toEqual({ value: 'two', ...second });
      expect(asked('GetSecretValue')).toBe(3);
      now += versionForMs - currentForMs - 1;
      await reader.read(name, version);
      expect(asked('GetSecretValue')).toBe(3);
      now += 1;
      expect((await reader.read(name, version)).value).toBe('one');
      expect(asked('GetSecretValue')).toBe(4);
    });

    it('is forgotten by who writes or removes', async () => {
      const { version } = await secrets.write(name, 'one');
      await secrets.read(name);
      await secrets.read(name, version);
      await secrets.write(name, 'two');
      expect((await secrets.read(name)).value).toBe('two');
      await secrets.remove(name);
      await expect(secrets.read(name)).rejects.toMatchObject({ kind: 'not-found' });
      await expect(secrets.read(name, version)).rejects.toMatchObject({ kind: 'not-found' });
    });

    it('is never that there was nothing', async () => {
      await expect(secrets.read(name)).rejects.toMatchObject({ kind: 'not-found' });
      await awsSecrets({ client: manager.client, prefix: 'sluice', clock: () => now }).write(name, 'one');
      expect((await secrets.read(name)).value).toBe('one');
    });

    it('is at most a hundred values', async () => {
      const cache = secretCache(() => now);
      for (let count = 0; count < 101; count += 1) cache.set(`key-${count}`, undefined, { value: 'x', version: id });
      expect(cache.get('key-0', undefined)).toBeUndefined();
      expect(cache.get('key-1', undefined)).toEqual({ value: 'x', version: id });
      expect(cache.get('key-100', undefined)).toEqual({ value: 'x', version: id });
    });
  });

  it('are described without a value being asked for', async () => {
    const { version } = await secrets.write(name, 'hunter2');
    const describing = describeSecrets({ client: manager.client, prefix: 'sluice' });
    expect(await describing.findVersion(name)).toBe(version);
    expect(asked('GetSecretValue')).toBe(0);
  });

  describe('references for tasks', () => {
    it('are the full ARN and the version, found once', async () => {
      const { version } = await secrets.write(name, 'hunter2');
      const refer = secretReferences({ client: manager.client, prefix: 'sluice' });
      const before = asked('DescribeSecret');
      const reference = await refer(name, version);
      expect(reference).toBe(
        `arn:aws:secretsmanager:eu-central-1:123456789012:secret:sluice/${name}-aaaaa1:::${version}`,
      );
      expect(await refer(name, version)).toBe(reference);
      expect(asked('DescribeSecret')).toBe(before + 1);
    });

    it('follow a secret that was removed and made again', async () => {
      const refer = secretReferences({ client: manager.client, prefix: 'sluice' });
      const first = await refer(name, (await secrets.write(name, 'one')).version);
      await secrets.remove(name);
      const second = await refer(name, (await secrets.write(name, 'two')).version);
      expect(second.split(':::')[0]).not.toBe(first.split(':::')[0]);
    });

    it('say which secret is not there', async () => {
      const refer = secretReferences({ client: manager.client, prefix: 'sluice' });
      await expect(refer(name, id)).rejects.toMatchObject({
        kind: 'not-found',
        message: expect.stringContaining(name) as string,
      });
    });
  });
});
