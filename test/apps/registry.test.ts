import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { applyApp, findApp, findAppsByRepository, getApp, listApps, removeApp } from '../../functions/apps/registry.ts';
import type { AppInput } from '../../functions/apps/schema.ts';
import type { Records } from '../../functions/ports/records.ts';
import { openTestRecords } from '../support/records.ts';
import { memorySecrets } from '../support/memory-secrets.ts';

const open = await openTestRecords();
afterAll(() => open.close());

let names = 0;
let now = 1_000_000;
const clock = () => now;
const policy = {
  source: { allowFile: true, ownRemote: undefined },
  fetch: { allowPrivateHosts: false, maxBytes: 1 },
};
const ports = { records: open.records, secrets: memorySecrets(), clock, policy };
/** Every test has apps, ports and repositories of its own, in one store. */
let web = '';
let api = '';
let port = 1000;
beforeEach(() => {
  names += 1;
  web = `web${names}`;
  api = `api${names}`;
  port += 100;
});

const app = (targets: readonly number[] = [], extra: Partial<AppInput> = {}): AppInput => ({
  environments: [
    { name: 'dev', targets: [{ name: 'web' }, ...targets.map((listenPort, at) => ({ name: `t${at}`, listenPort }))] },
  ],
  ...extra,
});
const sourced = (repoUrl: string): AppInput =>
  app([], {
    source: { repoUrl, credential: { kind: repoUrl.startsWith('git@') ? 'ssh-key' : 'none' } },
    build: { kind: 'image' },
  });
const apply = (id: string, input: unknown, records: Records = ports.records) =>
  applyApp({ ...ports, records }, { id, input });

describe('applyApp', () => {
  it('registers an app, and says that it is new', async () => {
    const { record, created } = await apply(web, app());
    expect(created).toBe(true);
    expect(record).toMatchObject({ id: web, createdAt: now, updatedAt: now });
    expect(await getApp(ports.records, web)).toEqual(record);
  });

  it('changes nothing when the same app is applied again', async () => {
    const input = app([port], { runtime: { env: { A: '1', B: '2' } } });
    const first = await apply(web, input);
    now += 5000;
    const again = await apply(web, { ...input, runtime: { env: { B: '2', A: '1' } } });
    expect(again).toEqual({ record: first.record, created: false });
  });

  it('changes an app and keeps when it was made', async () => {
    const first = await apply(web, app());
    now += 5000;
    const { record, created } = await apply(web, app([port]));
    expect(created).toBe(false);
    expect(record).toMatchObject({ createdAt: first.record.createdAt, updatedAt: now });
  });

  it.each(['', 'Web', '-web', '../web', 'a/b', 'x'.repeat(41), 'web\n'])('refuses the name %j', async (id) => {
    await expect(apply(id, app())).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('writes nothing of an app that is not valid', async () => {
    await expect(apply(web, { ...app([port]), environments: [] })).rejects.toMatchObject({ kind: 'invalid' });
    expect(await findApp(ports.records, web)).toBeUndefined();
    await apply(api, app([port]));
  });

  it('refuses a port of another app, naming both, and claims none of the others', async () => {
    await apply(web, app([port]));
    const refused = apply(api, app([port + 1, port]));
    await expect(refused).rejects.toMatchObject({
      kind: 'conflict',
      issues: [
        {
          field: 'environments[0].targets[2].listenPort',
          expected: `a port that the app ${web} does not have`,
        },
      ],
    });
    expect(await findApp(ports.records, api)).toBeUndefined();
    await apply(web, app([port, port + 1]));
  });

  it('refuses a host name of another app', async () => {
    const withDomain = { environments: [{ name: 'dev', domains: [`${web}.test`], targets: [{ name: 'web' }] }] };
    await apply(web, withDomain);
    await expect(apply(api, withDomain)).rejects.toMatchObject({
      kind: 'conflict',
      issues: [{ field: 'environments[0].domains[0]' }],
    });
  });

  it('gives back a port that the app no longer names', async () => {
    await apply(web, app([port]));
    await apply(web, app([port + 1]));
    await apply(api, app([port]));
    await expect(apply(api, app([port + 1]))).rejects.toMatchObject({ kind: 'conflict' });
  });

  it('lets one of many apps have a port that all want at once', async () => {
    const ids = Array.from({ length: 8 }, (_, at) => `${web}-${at}`);
    const results = await Promise.allSettled(ids.map((id) => apply(id, app([port]))));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('lets an app keep its ports whatever is applied to it at once', async () => {
    await apply(web, app([port]));
    const inputs = Array.from({ length: 8 }, (_, at) => app([port + (at % 3)]));
    await Promise.all(inputs.map((input) => apply(web, input)));
    const { app: after } = await getApp(ports.records, web);
    const kept = after.environments[0]?.targets[1]?.listenPort ?? 0;
    await expect(apply(api, app([kept]))).rejects.toMatchObject({ kind: 'conflict' });
    // And the others are free, at the latest once they count as left behind.
    now += 61_000;
    await apply(api, app([port, port + 1, port + 2].filter((other) => other !== kept)));
  });

  it('broken off before its record was written, it holds a port for a minute and no longer', async () => {
    const failing: Records = {
      ...ports.records,
      create: async (key, value, options) => {
        if (key.partition.startsWith('app/')) throw new Error('the disk is gone');
        return await ports.records.create(key, value, options);
      },
    };
    await expect(apply(web, app([port]), failing)).rejects.toThrow('the disk is gone');
    await expect(apply(api, app([port]))).rejects.toMatchObject({ kind: 'conflict' });
    now += 61_000;
    await apply(api, app([port]));
    await expect(apply(web, app([port]))).rejects.toMatchObject({ kind: 'conflict' });
  });
});

describe('getApp', () => {
  it('names the app that is not there, unless it is no name at all', async () => {
    await expect(getApp(ports.records, 'nobody')).rejects.toMatchObject({
      kind: 'not-found',
      message: 'There is no app nobody',
    });
    await expect(getApp(ports.records, '<b>\n')).rejects.toMatchObject({
      kind: 'not-found',
      message: 'There is no app of that name',
    });
    expect(await findApp(ports.records, '')).toBeUndefined();
  });
});

describe('listApps', () => {
  it('lists all apps by name, page by page', async () => {
    const fresh = await openTestRecords();
    const applied = ['delta', 'alpha', 'charlie', 'bravo', 'echo'];
    for (const id of applied) await apply(id, app(), fresh.records);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await listApps(fresh.records, { limit: 2, ...(cursor ? { cursor } : {}) });
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next ?? undefined;
    } while (cursor);
    expect(seen).toEqual([...applied].sort());
    await fresh.close();
  });
});

describe('findAppsByRepository', () => {
  it('finds every app of a repository, however each writes it, and follows when one moves', async () => {
    const path = `Acme/${web}`;
    await apply(web, sourced(`https://github.com/${path}.git`));
    await apply(api, sourced(`git@github.com:${path}`));
    const identity = `github.com/${path.toLowerCase()}`;
    const ids = async () => (await findAppsByRepository(ports.records, identity)).map(({ id }) => id).sort();
    expect(await ids()).toEqual([api, web]);
    await apply(web, sourced(`https://github.com/${path}-new`));
    expect(await ids()).toEqual([api]);
    await removeApp(ports, api);
    expect(await ids()).toEqual([]);
  });

  it('tells apps as they are now, though the index is behind: changed, moved or gone', async () => {
    const path = `acme/${web}`;
    const source = sourced(`https://github.com/${path}`);
    for (const id of [web, api, `${web}-2`]) await apply(id, source);
    const query = { partition: `repository/github.com/${path}`, index: 'lookup' } as const;
    const behind = await ports.records.list(query);
    expect(behind.items).toHaveLength(3);
    const late = { ...ports.records, list: async () => behind } as unknown as typeof ports.records;
    await apply(web, { ...source, runtime: { ...source.runtime, env: { CHANGED: 'yes' } } });
    await apply(api, sourced(`https://github.com/${path}-new`));
    await removeApp(ports, `${web}-2`);
    const found = await findAppsByRepository(late, `github.com/${path}`);
    expect(found.map(({ id, app }) => [id, app.runtime.env])).toEqual([[web, { CHANGED: 'yes' }]]);
  });
});

describe('removeApp', () => {
  it('forgets the app, its secrets and its ports, and no others', async () => {
    await apply(web, app([port]));
    await apply(`${web}-2`, app());
    await ports.secrets.write(`apps/${web}/deploy-key`, 'k');
    await ports.secrets.write(`apps/${web}/secret/a`, 'a');
    await ports.secrets.write(`apps/${web}-2/secret/a`, 'a');
    await removeApp(ports, web);
    expect(await findApp(ports.records, web)).toBeUndefined();
    expect(await ports.secrets.list(`apps/${web}/`)).toEqual([]);
    expect(await ports.secrets.list(`apps/${web}-2/`)).toHaveLength(1);
    await apply(api, app([port]));
  });
  it('does nothing for an app that is not there', async () => {
    await expect(removeApp(ports, 'nobody')).resolves.toBeUndefined();
    await expect(removeApp(ports, '../x')).resolves.toBeUndefined();
  });
});
