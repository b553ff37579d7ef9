import * as v from 'valibot';
import type { Records } from '../ports/records.ts';
import { Problem } from '../runtime/errors.ts';
import { findHolder } from './claims.ts';
import { findApp, type AppRecord } from './registry.ts';
import { appIdSchema, nameSchema } from './schema.ts';

/** The app that tools outside mean by a name: its id, or its `appId`. Throws `Problem('not-found')`. */
export async function getAppNamed(records: Records, name: string): Promise<AppRecord> {
  const found = await findAppNamed(records, name);
  if (found) return found;
  const isName = v.is(nameSchema, name) || v.is(appIdSchema, name);
  throw new Problem('not-found', isName ? `There is no app ${name}` : 'There is no app of that name');
}

export async function findAppNamed(records: Records, name: string): Promise<AppRecord | undefined> {
  if (v.is(nameSchema, name)) return await findApp(records, name);
  if (!v.is(appIdSchema, name)) return undefined;
  const holder = await findHolder(records, { kind: 'app-id', value: name });
  const record = holder === undefined ? undefined : await findApp(records, holder);
  // A claim that its app does not have was left behind.
  return record?.app.appId === name ? record : undefined;
}

/** What tools outside call an app. */
export function outsideName({ id, app }: AppRecord): string {
  return app.appId ?? id;
}
