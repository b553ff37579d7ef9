import type { RecordKey, Records } from '../ports/records.ts';
import { createRecord, type Shape } from '../ports/update.ts';
import { messageOf } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { EpochMs } from '../runtime/units.ts';

/** How a call ended: it was done, the token did not allow it, it was wrong or not possible, or something broke here. */
export const auditResults = ['done', 'refused', 'rejected', 'failed'] as const;
export type AuditResult = (typeof auditResults)[number];

/** One call that changed something, or was to. Nothing of its body, its token or its answer is in it. */
export type AuditEntry = {
  readonly id: string;
  readonly at: EpochMs;
  /** The name of the token, and its id; the admin token has none. */
  readonly actor: string;
  readonly jti?: string;
  /** The operation's id in the OpenAPI document. */
  readonly action: string;
  readonly method: string;
  /** The route's pattern. */
  readonly route: string;
  readonly app?: string;
  readonly environment?: string;
  readonly build?: string;
  /** The ids of the tokens that were minted or revoked. */
  readonly tokens?: readonly string[];
  /** The path without its query, of a call that was done. */
  readonly path?: string;
  readonly status: number;
  readonly result: AuditResult;
  readonly address: string;
  readonly requestId: string;
};

const keptSeconds = 400 * 24 * 60 * 60;

const shape: Shape<AuditEntry> = {
  what: 'audit entry',
  indexesOf: (entry) => ({
    list: { partition: allEntries, sort: sortOf(entry) },
    ...(entry.app === undefined ? {} : { lookup: { partition: appEntries(entry.app), sort: sortOf(entry) } }),
  }),
  expiresAtSecondsOf: ({ at }) => Math.floor(at / 1000) + keptSeconds,
};

const allEntries = 'audit';
const appEntries = (app: string) => `audit/${app}`;
const keyOf = (id: string): RecordKey => ({ partition: `audit-entry/${id}`, sort: 'entry' });
const sortOf = ({ at, id }: AuditEntry) => `${String(at).padStart(14, '0')}/${id}`;

export function auditResultOf(status: number): AuditResult {
  if (status < 400) return 'done';
  if (status === 401 || status === 403) return 'refused';
  return status < 500 ? 'rejected' : 'failed';
}

/** Adds an entry; nothing changes or removes one until it is 400 days old. */
export async function appendEntry(records: Records, entry: AuditEntry): Promise<void> {
  if (!(await createRecord(records, shape, { key: keyOf(entry.id), value: entry }))) {
    throw new Error('An id of an audit entry was given twice');
  }
}

/**
 * The same for a call that is about to be answered: what was done is not undone by an entry that cannot be written. It
 * goes to the log as a whole then.
 */
export async function writeEntry(
  ports: { readonly records: Records; readonly log: Pick<Log, 'error'> },
  entry: AuditEntry,
): Promise<void> {
  try {
    await appendEntry(ports.records, entry);
  } catch (error) {
    ports.log.error('an audit entry was not written', { entry, reason: messageOf(error) });
  }
}

export type AuditQuery = {
  readonly app?: string | undefined;
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly result?: AuditResult | undefined;
  /** Only entries since then, and before then. */
  readonly after?: EpochMs | undefined;
  readonly before?: EpochMs | undefined;
  /** 1..200, default 50. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
};

/** Reads at most this many records a call when a filter passes few of them; the cursor goes on from there. */
const maxRead = 1000;

/** Entries, the newest first; a page may be short, and is the last when `next` is null. */
export async function listEntries(
  records: Records,
  query: AuditQuery,
  isVisible: (entry: AuditEntry) => boolean = () => true,
): Promise<{ items: readonly AuditEntry[]; next: string | null }> {
  const limit = query.limit ?? 50;
  const place =
    query.app === undefined
      ? ({ partition: allEntries, index: 'list' } as const)
      : ({ partition: appEntries(query.app), index: 'lookup' } as const);
  const items: AuditEntry[] = [];
  let after = query.cursor;
  let read = 0;
  do {
    const pageLimit = limit - items.length;
    const page = await records.list<AuditEntry>({
      ...place,
      order: 'descending',
      limit: pageLimit,
      ...(after ? { after } : {}),
    });
    const entries = page.items.map(({ value }) => value);
    items.push(...entries.filter((entry) => fits(entry, query) && isVisible(entry)));
    read += entries.length;
    // All that follows is older still.
    const isPast = query.after !== undefined && entries.some(({ at }) => at < (query.after ?? 0));
    after = isPast ? undefined : page.next;
  } while (after && items.length < limit && read < maxRead);
  return { items, next: after ?? null };
}

function fits(entry: AuditEntry, { actor, action, result, after, before }: AuditQuery): boolean {
  return (
    (actor === undefined || entry.actor === actor) &&
    (action === undefined || entry.action === action) &&
    (result === undefined || entry.result === result) &&
    (after === undefined || entry.at >= after) &&
    (before === undefined || entry.at < before)
  );
}
