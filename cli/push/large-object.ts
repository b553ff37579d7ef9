import type { TransfersView } from '../../functions/api/build-shapes.ts';
import { path } from '../client.ts';
import { NotReachable } from '../failures.ts';
import { openSource, SourceEnded } from './byte-source.ts';
import { changedMeanwhile } from './changed.ts';
import { patienceSeconds, patient, type Destination } from './destination.ts';
import type { PushObject } from './package.ts';
import { hashingReader, type HashingReader } from './hashing-reader.ts';
import { putPart, type Part } from './put-part.ts';

/**
 * Sends a large object in parts, straight to the storage, as many at once as there are slots. The server says which
 * parts are missing, so it goes on where an earlier push has stopped, or another one is now; after a failure it is asked
 * again. What is read is hashed on the way: other bytes than the object's name says are an error.
 */
export async function sendLarge(object: PushObject, to: Destination, signal: AbortSignal): Promise<void> {
  const reader = await openSource(object.source);
  const sending: Sending = { object, to, signal, reader: hashingReader(reader, object), memory: [] };
  try {
    const sent = await sendUntilWhole(sending);
    if (sent > 0 && !(await sending.reader.isWhole())) throw changedMeanwhile(object);
    to.progress.done(object, sent);
  } catch (error) {
    throw error instanceof SourceEnded ? changedMeanwhile(object) : error;
  } finally {
    await reader.close();
  }
}

type Sending = {
  readonly object: PushObject;
  readonly to: Destination;
  readonly signal: AbortSignal;
  readonly reader: HashingReader;
  /** Memory of parts that have arrived, for the next ones: new memory for each costs as much time as sending it. */
  readonly memory: Buffer[];
};

/**
 * Answers with the bytes that were sent. What counts is what the server says is missing: while that does not become
 * less, rounds are repeated with pauses, for some minutes.
 */
async function sendUntilWhole(sending: Sending): Promise<number> {
  const { to, signal } = sending;
  let sent = 0;
  let least = Number.POSITIVE_INFINITY;
  let failure: NotReachable | undefined;
  for (let waitSeconds = 0.5, waited = 0; ;) {
    const standing = await standingOf(sending);
    const { missingCount = 0, parts = [] } = standing;
    if (standing.status === 'stored' || missingCount === 0) return sent;
    if (missingCount < least) [least, waited, waitSeconds] = [missingCount, 0, 0.5];
    else {
      if (waited + waitSeconds > patienceSeconds) throw failure ?? noProgress(sending);
      to.progress.waiting();
      await to.world.pause(waitSeconds * 1000, signal);
      waited += waitSeconds;
      waitSeconds = Math.min(waitSeconds * 2, 15);
    }
    const round = await sendParts(sending, parts);
    sent += round.sent;
    failure = round.failure;
  }
}

async function standingOf({ object, to, signal }: Sending): Promise<TransfersView['objects'][number]> {
  const { name, sizeBytes, sha256 } = object;
  const isNamedByDigest = name.startsWith(`${sha256}.`);
  const digest = isNamedByDigest || sha256 === undefined ? {} : { digest: `sha256:${sha256}` };
  const { body } = await to.client.request<TransfersView>({
    method: 'POST',
    path: path`/api/v1/build/${to.build}/uploads`,
    body: { objects: [{ name, sizeBytes, ...digest }] },
    ...patient(to, signal),
  });
  const [standing] = body.objects;
  if (standing === undefined) throw noProgress({ object, to });
  return standing;
}

type Round = { readonly sent: number; readonly failure: NotReachable | undefined };

/**
 * Reads in the order of the parts, as hashing needs it, and sends without waiting for the one before. The next part is
 * read before there is a slot for it: no connection is to wait for the disk.
 */
async function sendParts(sending: Sending, parts: readonly Part[]): Promise<Round> {
  const { to, signal, reader, memory } = sending;
  const round = { sent: 0, failures: [] as unknown[] };
  const running: Promise<void>[] = [];
  for (const part of [...parts].sort((a, b) => a.offsetBytes - b.offsetBytes)) {
    if (round.failures.length > 0) break;
    try {
      const bytes = await reader.read(part.offsetBytes, part.sizeBytes, memory.pop());
      const done = await to.slots.take(signal);
      running.push(sendPart(part, bytes, { sending, round }).finally(done));
    } catch (error) {
      round.failures.push(error);
    }
  }
  await Promise.all(running);
  const fatal = round.failures.find((error) => !(error instanceof NotReachable));
  if (fatal !== undefined) throw fatal;
  return { sent: round.sent, failure: round.failures.find((error) => error instanceof NotReachable) };
}

/** Never rejects: the parts that are on their way beside it are to arrive. */
async function sendPart(
  part: Part,
  bytes: Buffer,
  { sending: { to, signal, memory }, round }: { sending: Sending; round: { sent: number; failures: unknown[] } },
): Promise<void> {
  try {
    await putPart(part, bytes, { to, signal });
    memory.push(bytes);
    round.sent += part.sizeBytes;
    to.progress.sent(part.sizeBytes);
  } catch (error) {
    round.failures.push(error);
  }
}

function noProgress({ object, to }: Pick<Sending, 'object' | 'to'>): NotReachable {
  return new NotReachable(
    `${to.client.connection.baseUrl} still lacks parts of ${object.label} that it has been sent.`,
  );
}
