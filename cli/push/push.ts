import type { BuildView } from '../../functions/api/build-shapes.ts';
import { path } from '../client.ts';
import { NotReachable, WrongUse } from '../failures.ts';
import { untilInterrupted } from '../logs/until-interrupted.ts';
import type { Session } from '../session.ts';
import { counted, sizeText } from '../size.ts';
import { printable } from '../terminal-text.ts';
import { openPackage, type Wanted } from './open-package.ts';
import type { Package } from './package.ts';
import { createProgress } from './progress.ts';
import { createSlots } from './slots.ts';
import { transfer, type Transferred } from './transfer.ts';

export type Push = {
  /** The build's id. */
  readonly build: string;
  /** What to push, from the current folder on. */
  readonly path: string;
  readonly kind: Wanted['kind'];
  /** Default: the build's app. */
  readonly name: string | undefined;
  /** Default: the build's environment. */
  readonly branch: string | undefined;
  /** The refs of an OSTree repository; none: all. */
  readonly branches: readonly string[];
  readonly parallel: number;
};

/** Pushes what lies at a path to a build. Ctrl-C, and what goes wrong, leaves there what was sent. */
export async function push(session: Session, wanted: Push): Promise<void> {
  const client = await session.client();
  const build = await client.get<BuildView>(path`/api/v1/build/${wanted.build}`, { patienceSeconds: 60 });
  const naming = { name: wanted.name ?? nameIn(build), branch: wanted.branch ?? build.repo };
  const { kind, branches } = wanted;
  const sentence = 'Stopped. What was sent stays: the same call goes on where this one was.';
  const sent = await untilInterrupted(session.world, sentence, async (signal) => {
    // Packing a folder, or hashing an archive, takes as long as it is large.
    if (session.world.stderr.isTerminal) session.note(`Reading ${wanted.path} …`);
    const found = await openPackage(session.world.folder, wanted.path, { kind, naming, branches });
    try {
      return { found, result: await send(session, { found, wanted, signal }) };
    } finally {
      await found.close();
    }
  });
  tell(session, build, sent);
}

function nameIn({ id, app_id }: BuildView): string {
  if (typeof app_id === 'string' && app_id !== '') return app_id;
  throw new WrongUse(`Build ${id} is of no app: say by --name what the refs are to be called.`);
}

type Sending = { readonly found: Package; readonly wanted: Push; readonly signal: AbortSignal };

async function send(session: Session, { found, wanted, signal }: Sending): Promise<Transferred> {
  const { build, parallel } = wanted;
  const client = await session.client();
  for (const note of found.notes) session.note(note);
  const progress = createProgress(session);
  try {
    const slots = createSlots(parallel);
    return await transfer(found, { client, world: session.world, build, parallel, slots, progress, signal });
  } catch (error) {
    if (!(error instanceof NotReachable)) throw error;
    const hint = 'What was sent stays: the same call goes on where this one was.';
    throw new NotReachable(error.message, { hint, cause: error });
  } finally {
    progress.close();
  }
}

type Sent = { readonly found: Package; readonly result: Transferred };

function tell(session: Session, { id }: BuildView, { found: { kind, refs }, result }: Sent): void {
  if (session.json) return session.document({ type: 'push', build: id, kind, refs, ...result });
  const { objects, bytes } = result;
  const there = objects.skipped === 0 ? '' : `; there already: ${objects.skipped}`;
  const sent =
    objects.sent === 0 ? 'nothing had to be sent' : `sent ${counted(objects.sent, 'object')}, ${sizeText(bytes.sent)}`;
  session.line(session.style.paint('good', `Pushed to build ${id}: ${sent}${there}.`));
  for (const { ref, commit } of refs) session.line(printable(`  ${ref}  ${commit}`));
}
