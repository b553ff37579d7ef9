import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import type { ApiPorts, Policy } from '../ports/ports.ts';
import type { IndexEntries, RecordKey, Records, Stored } from '../ports/records.ts';
import { createRecord, writeOptionsOf, type Shape } from '../ports/update.ts';
import { Problem } from '../runtime/errors.ts';
import { parseInput } from '../runtime/parse.ts';
import type { EpochMs } from '../runtime/units.ts';
import { claimPlaces, placesOf, releasePlaces, type Place } from './claims.ts';
import { parseApp } from './parse.ts';
import { parseRepoUrl } from './repo-url.ts';
import { nameSchema, type App } from './schema.ts';

/** An app as it is registered. */
export type AppRecord = {
  readonly id: string;
  readonly app: App;
  readonly createdAt: EpochMs;
  /** When it last became another one. */
  readonly updatedAt: EpochMs;
};

const shape: Shape<AppRecord> = { what: 'app', indexesOf };

/**
 * Registers an app or changes it; applied twice, it changes nothing. Safe to run again after it broke off.
 * Throws `Problem('invalid')` with every wrong field, `Problem('conflict')` for a port or host name of another app.
 */
export async function applyApp(
  ports: Pick<ApiPorts, 'records' | 'clock'> & { readonly policy: Pick<Policy, 'source' | 'targets' | 'builds'> },
  input: { readonly id: string; readonly input: unknown },
): Promise<{ record: AppRecord; created: boolean }> {
  const id = parseInput(nameSchema, input.id, 'name of the app');
  const app = parseApp(input.input, ports.policy);
  const claiming = { records: ports.records, now: ports.clock(), uses: usesOf(ports.records) };
  const places = placesOf(app);
  await claimPlaces(claiming, id, places);
  const { record, before } = await write(ports, id, app);
  // Again, as another apply of this app may have given back what it no longer named before this one was written.
  if (before && before !== record) await claimPlaces(claiming, id, places);
  const left = before ? placesOf(before.app).filter((place) => !has(places, place)) : [];
  await releasePlaces(claiming, id, left);
  return { record, created: !before };
}

export async function findApp(records: Records, id: string): Promise<AppRecord | undefined> {
  return (await findStored(records, id))?.value;
}

/** Throws `Problem('not-found')`. */
export async function getApp(records: Records, id: string): Promise<AppRecord> {
  const found = await findApp(records, id);
  if (found) return found;
  const name = v.is(nameSchema, id) ? ` ${id}` : ' of that name';
  throw new Problem('not-found', `There is no app${name}`);
}

/** Apps by name; `cursor` is the `next` of the page before, and `limit` 1..1000, default 100. */
export async function listApps(
  records: Records,
  query: { readonly limit?: number; readonly cursor?: string } = {},
): Promise<{ items: readonly AppRecord[]; next: string | null }> {
  const page = await records.list<AppRecord>({
    partition: allApps,
    index: 'list',
    ...(query.limit === undefined ? {} : { limit: query.limit }),
    ...(query.cursor === undefined ? {} : { after: query.cursor }),
  });
  return { items: page.items.map(({ value }) => value), next: page.next ?? null };
}

/**
 * Every app whose source is the repository of that identity (`repoIdentity`), as it is now: the index only says which to
 * look at, and may be behind by a moment. So an app that was registered within the last second or so may be missed; one
 * that was changed is never seen as it was before.
 */
export async function findAppsByRepository(records: Records, identity: string): Promise<readonly AppRecord[]> {
  const found: (AppRecord | undefined)[] = [];
  let after: string | undefined;
  do {
    const query = { partition: repositoryPartition(identity), index: 'lookup', ...(after ? { after } : {}) } as const;
    const page = await records.list<AppRecord>(query);
    found.push(...(await Promise.all(page.items.map(async ({ value }) => await findApp(records, value.id)))));
    after = page.next;
  } while (after !== undefined);
  return found.filter((record) => record !== undefined).filter((record) => repositoryOf(record) === identity);
}

/**
 * Forgets an app with its secrets and its deploy key, and gives back its ports; what runs of it is not this function's
 * to stop. The record goes last, so it can be run again after it broke off. One that is not there is no error.
 */
export async function removeApp(
  ports: Pick<ApiPorts, 'records'> & { readonly secrets: Pick<ApiPorts['secrets'], 'list' | 'remove'> },
  id: string,
): Promise<void> {
  for (;;) {
    const stored = await findStored(ports.records, id);
    if (!stored) return;
    for (const name of await ports.secrets.list(`apps/${id}/`)) await ports.secrets.remove(name);
    if (!(await ports.records.remove(stored))) continue;
    await releasePlaces({ records: ports.records, uses: usesOf(ports.records) }, id, placesOf(stored.value.app));
    return;
  }
}

const allApps = 'apps';

function keyOf(id: string): RecordKey {
  return { partition: `app/${id}`, sort: 'app' };
}

function repositoryPartition(identity: string): string {
  return `repository/${identity}`;
}

function indexesOf(record: AppRecord): IndexEntries {
  const repository = repositoryOf(record);
  return {
    list: { partition: allApps, sort: record.id },
    ...(repository === undefined ? {} : { lookup: { partition: repositoryPartition(repository), sort: record.id } }),
  };
}

function repositoryOf({ app }: AppRecord): string | undefined {
  return app.source && parseRepoUrl(app.source.repoUrl)?.identity;
}

async function findStored(records: Records, id: string): Promise<Stored<AppRecord> | undefined> {
  return v.is(nameSchema, id) ? await records.find<AppRecord>(keyOf(id)) : undefined;
}

/** Writes the app over what is there, and says what was; the very same record when it was this app already. */
async function write(
  ports: Pick<ApiPorts, 'records' | 'clock'>,
  id: string,
  app: App,
): Promise<{ record: AppRecord; before: AppRecord | undefined }> {
  for (;;) {
    const now = ports.clock();
    const stored = await findStored(ports.records, id);
    const before = stored?.value;
    if (before && isDeepStrictEqual(before.app, asStored(app))) return { record: before, before };
    const value = { id, app, createdAt: before?.createdAt ?? now, updatedAt: now };
    const written = stored
      ? await ports.records.replace(stored, value, writeOptionsOf(shape, value))
      : await createRecord(ports.records, shape, { key: keyOf(id), value });
    if (written) return { record: written.value, before };
  }
}

/** As it comes back from a store of JSON. */
function asStored(app: App): unknown {
  return JSON.parse(JSON.stringify(app));
}

function usesOf(records: Records) {
  return async (app: string, place: Place): Promise<boolean> => {
    const record = await findApp(records, app);
    return record !== undefined && has(placesOf(record.app), place);
  };
}

function has(places: readonly Place[], place: Place): boolean {
  return places.some(({ kind, value }) => kind === place.kind && value === place.value);
}
