import { path } from '../client.ts';
import { NotReachable } from '../failures.ts';
import { patient, type Destination } from './destination.ts';
import { sendLarge } from './large-object.ts';
import { missingOf } from './missing.ts';
import { smallBytes, type Package, type PushObject } from './package.ts';
import { runAll } from './slots.ts';
import { batchesOf, sendBatch } from './small-objects.ts';

/** What came of it. `sent`: now; what an earlier push has sent, or another one did meanwhile, is skipped. */
export type Transferred = {
  readonly objects: { readonly total: number; readonly sent: number; readonly skipped: number };
  readonly bytes: { readonly total: number; readonly sent: number };
};

/**
 * Brings a build what it lacks of a package: asks what is missing, sends that, asks again whether it is there, and
 * then names the refs. It can be broken off at any point and begun again, also several times at once.
 */
export async function transfer(what: Package, to: Destination): Promise<Transferred> {
  const names = what.objects.map(({ name }) => name);
  const missing = await missingOf(names, to);
  const wanted = what.objects.filter(({ name }) => missing.has(name));
  const bytes = { total: sizeOf(what.objects), missing: sizeOf(wanted) };
  to.progress.begin({ kind: what.kind, build: to.build, objects: names.length, missing: wanted.length, bytes });
  await send(wanted, to);
  for (const ref of what.refs) {
    await to.client.request({
      method: 'POST',
      path: path`/api/v1/build/${to.build}/build_ref`,
      body: { ...ref, kind: what.kind },
      ...patient(to, to.signal),
    });
  }
  const sent = to.progress.counted();
  return {
    objects: { total: names.length, sent: sent.objects, skipped: names.length - sent.objects },
    bytes: { total: bytes.total, sent: sent.bytes },
  };
}

async function send(objects: readonly PushObject[], to: Destination): Promise<void> {
  const large = objects.filter(({ sizeBytes }) => sizeBytes >= smallBytes);
  const small = objects.filter(({ sizeBytes }) => sizeBytes < smallBytes);
  const tasks = [
    ...batchesOf(small).map((batch) => async (signal: AbortSignal) => await sendBatch(batch, to, signal)),
    ...large.map((object) => async (signal: AbortSignal) => await sendLarge(object, to, signal)),
  ];
  await runAll(tasks, { atOnce: to.parallel, signal: to.signal });
  await sendLost(small, to);
}

/**
 * An answer that says "stored" has been seen of servers that had stored nothing
 * (https://github.com/flathub-infra/flat-manager/issues), which shows at the commit, too late: so we look.
 */
async function sendLost(small: readonly PushObject[], to: Destination): Promise<void> {
  let sent = small;
  for (let tries = 1; sent.length > 0; tries++) {
    const missing = await missingOf(
      sent.map(({ name }) => name),
      to,
    );
    const lost = sent.filter(({ name }) => missing.has(name));
    if (lost.length === 0) return;
    if (tries === mostTries) {
      const names = lost.slice(0, 5).map(({ name }) => name);
      throw new NotReachable(`${lost.length} objects are missing there although they were sent: ${names.join(', ')}.`);
    }
    const again = batchesOf(lost).map((batch) => async (signal: AbortSignal) => await sendBatch(batch, to, signal));
    await runAll(again, { atOnce: to.parallel, signal: to.signal });
    sent = lost;
  }
}

const mostTries = 3;

function sizeOf(objects: readonly PushObject[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
