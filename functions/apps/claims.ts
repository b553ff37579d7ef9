import type { RecordKey, Records, Stored } from '../ports/records.ts';
import { Problem, type Issue } from '../runtime/errors.ts';
import { invalid } from '../runtime/parse.ts';
import type { EpochMs } from '../runtime/units.ts';
import type { App } from './schema.ts';

/**
 * What only one app can have: a port of the machine, a host name, the name it has outside. Each is a record of its own, so that two apps that
 * want it at once find out by a conditional write.
 */
export type Claim = { readonly app: string; readonly at: EpochMs };

/** A place that an app's environments name, and the field that names it. */
export type Place = { readonly kind: 'port' | 'domain' | 'app-id'; readonly value: string; readonly field: string };

/**
 * A claim is made before its app is written. One that its app does not have after this time was left behind by an
 * `applyApp` that broke off, and may be taken over.
 */
const abandonedAfterMs = 60_000;

type Claiming = {
  readonly records: Records;
  readonly now: EpochMs;
  /** Whether the app, as it is stored now, names the place. */
  readonly uses: (app: string, place: Place) => Promise<boolean>;
};

export function placesOf(app: App): readonly Place[] {
  const named: readonly Place[] = app.appId ? [{ kind: 'app-id', value: app.appId, field: 'appId' }] : [];
  const places = app.environments.flatMap(({ domains, targets }, at) => [
    ...targets.flatMap(({ listenPort }, index): Place[] => {
      const field = `environments[${at}].targets[${index}].listenPort`;
      return listenPort === undefined ? [] : [{ kind: 'port', value: String(listenPort), field }];
    }),
    ...domains.map(
      (value, index) => ({ kind: 'domain', value, field: `environments[${at}].domains[${index}]` }) as const,
    ),
  ]);
  return [...named, ...places];
}

/** The app that has a place now; undefined when none has. */
export async function findHolder(records: Records, place: Omit<Place, 'field'>): Promise<string | undefined> {
  return (await records.find<Claim>(keyOf(place)))?.value.app;
}

/** Makes the places the app's own. Throws `Problem('conflict')` naming each that another app has; then none is claimed newly. */
export async function claimPlaces(claiming: Claiming, app: string, places: readonly Place[]): Promise<void> {
  const made: Place[] = [];
  const issues: Issue[] = [];
  for (const place of places) {
    const result = await claim(claiming, app, place);
    if (result === 'made') made.push(place);
    if (result !== 'made' && result !== 'had') {
      issues.push({
        field: place.field,
        expected: `a ${words[place.kind]} that the app ${result.takenBy} does not have`,
      });
    }
  }
  if (issues.length === 0) return;
  await releasePlaces(claiming, app, made);
  throw new Problem('conflict', invalid('app', issues).message, { issues });
}

/** Gives back places of an app that it does not name any more. */
export async function releasePlaces(
  claiming: Pick<Claiming, 'records' | 'uses'>,
  app: string,
  places: readonly Place[],
): Promise<void> {
  for (const place of places) {
    const stored = await claiming.records.find<Claim>(keyOf(place));
    if (stored?.value.app !== app || (await claiming.uses(app, place))) continue;
    // Refused when the app has just claimed it anew: its version is another one then.
    await claiming.records.remove(stored);
  }
}

const words = { port: 'port', domain: 'host name', 'app-id': 'name' } as const;

async function claim(claiming: Claiming, app: string, place: Place): Promise<'made' | 'had' | { takenBy: string }> {
  const value: Claim = { app, at: claiming.now };
  for (;;) {
    const stored = await claiming.records.find<Claim>(keyOf(place));
    if (!stored) {
      if (await claiming.records.create(keyOf(place), value)) return 'made';
      continue;
    }
    const isOwn = stored.value.app === app;
    if (!isOwn && !(await isAbandoned(claiming, stored, place))) return { takenBy: stored.value.app };
    // Also over a claim of its own: whoever is about to release it finds another version and leaves it.
    if (await claiming.records.replace(stored, value)) return isOwn ? 'had' : 'made';
  }
}

async function isAbandoned(claiming: Claiming, stored: Stored<Claim>, place: Place): Promise<boolean> {
  const { app, at } = stored.value;
  return claiming.now - at > abandonedAfterMs && !(await claiming.uses(app, place));
}

function keyOf({ kind, value }: Omit<Place, 'field'>): RecordKey {
  return { partition: `${kind}/${value}`, sort: kind };
}
