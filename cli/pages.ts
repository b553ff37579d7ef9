import type { Client, Query } from './client.ts';

export type Page<Item> = { readonly items: readonly Item[]; readonly next: string | null };

/** Up to `limit` items of a list, over as many pages as that takes; `next` says where more begin. */
export async function listUpTo<Item>(
  client: Client,
  { path, query = {}, limit }: { path: string; query?: Query; limit: number },
): Promise<Page<Item>> {
  const items: Item[] = [];
  let cursor = query['cursor'];
  for (;;) {
    const missing = limit - items.length;
    const page = await client.get<Page<Item>>(path, {
      query: { ...query, cursor, limit: Math.min(missing, largestPage) },
    });
    items.push(...page.items.slice(0, missing));
    if (page.next === null || items.length >= limit) return { items, next: page.next };
    cursor = page.next;
  }
}

const largestPage = 100;
