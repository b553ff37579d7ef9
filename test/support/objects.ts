import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { Problem, problemKinds } from '../../functions/runtime/errors.ts';
import type { EpochMs } from '../../functions/runtime/units.ts';
import { objectRoutes } from '../../local/object-routes.ts';
import { folderObjects, type FolderObjects } from '../../local/objects.ts';

export type TestObjects = {
  readonly objects: FolderObjects;
  readonly folder: string;
  readonly baseUrl: string;
  /** Opens the same folder again, as the next process after a kill does. */
  readonly reopen: () => Promise<FolderObjects>;
  readonly close: () => Promise<void>;
};

/** Objects in a folder of their own, their signed URLs served on loopback as the local server does. */
export async function openTestObjects(
  options: { readonly clock?: () => EpochMs; readonly maxBytes?: number } = {},
): Promise<TestObjects> {
  const { clock = Date.now, maxBytes = 1_000_000_000 } = options;
  const folder = await mkdtemp(join(tmpdir(), 'sluice-objects-'));
  const signingKey = crypto.randomUUID();
  let baseUrl = '';
  const reopen = async () => await folderObjects({ folder, baseUrl: () => baseUrl, signingKey, clock });
  const objects = await reopen();
  const app = new Hono().onError((error, context) => {
    if (!(error instanceof Problem)) throw error;
    return context.json({ message: error.message }, problemKinds[error.kind].status);
  });
  app.route('/', objectRoutes(objects, { signingKey, clock, maxBytes }));
  const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 });
  if (!server.listening) await new Promise<void>((resolve) => server.once('listening', () => resolve()));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    objects,
    folder,
    baseUrl,
    reopen,
    async close() {
      if ('closeAllConnections' in server) server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
