import { createLiveRegion } from '../follow/live-region.ts';
import type { Session } from '../session.ts';
import { counted, sizeText } from '../size.ts';
import { printable } from '../terminal-text.ts';
import { smallBytes, type PushObject } from './package.ts';

export type Beginning = {
  readonly kind: string;
  readonly build: string;
  readonly objects: number;
  readonly missing: number;
  readonly bytes: { readonly total: number; readonly missing: number };
};

/** Tells a person or a program how far a push is. */
export type Progress = {
  readonly begin: (beginning: Beginning) => void;
  /** So many bytes have arrived. */
  readonly sent: (bytes: number) => void;
  /** An object is there whole; so many of its bytes were sent now. */
  readonly done: (object: PushObject, sentBytes: number) => void;
  /** A request failed, and is tried again soon. */
  readonly waiting: () => void;
  readonly note: (text: string) => void;
  /** What was sent so far: objects of which something was, and their bytes. */
  readonly counted: () => { readonly objects: number; readonly bytes: number };
  /** Leaves the terminal as it should be. */
  readonly close: () => void;
};

/** How it is shown: what a progress is made of, without the counting. */
type Display = {
  readonly begin: (beginning: Beginning) => void;
  readonly draw: (counts: Counts) => void;
  readonly done: (object: PushObject) => void;
  readonly waiting: () => void;
  readonly close: () => void;
};
type Counts = { readonly objects: number; readonly sent: number; readonly arrived: number; readonly missing: number };

export function createProgress(session: Session): Progress {
  const display = displayFor(session);
  const counts = { objects: 0, sent: 0, arrived: 0, missing: 0 };
  const add = (bytes: number) => {
    counts.arrived += bytes;
    display.draw(counts);
  };
  return {
    begin: (beginning) => {
      counts.missing = beginning.bytes.missing;
      display.begin(beginning);
    },
    sent: (bytes) => {
      counts.sent += bytes;
      add(bytes);
    },
    done: (object, sentBytes) => {
      if (sentBytes > 0 || object.sizeBytes === 0) counts.objects++;
      if (sentBytes < object.sizeBytes) add(object.sizeBytes - sentBytes);
      display.done(object);
    },
    waiting: display.waiting,
    note: session.note,
    counted: () => ({ objects: counts.objects, bytes: counts.sent }),
    close: display.close,
  };
}

function displayFor(session: Session): Display {
  if (session.json) return jsonDisplay(session);
  return session.style.live ? liveDisplay(session) : plainDisplay(session);
}

function beginningText({ kind, build, objects, missing, bytes }: Beginning): string {
  const what = kind === 'ostree' ? 'OSTree repository' : kind;
  const whole = `Pushing the ${what} to build ${build}: ${counted(objects, 'object')}, ${sizeText(bytes.total)}`;
  if (missing === 0) return `${whole}; nothing is missing.`;
  return missing === objects ? `${whole}.` : `${whole}; missing: ${missing}, ${sizeText(bytes.missing)}.`;
}

/** A line for what is large, and one now and then. */
function plainDisplay({ line, note, world }: Session): Display {
  let toldAt = world.clock();
  return {
    begin: (beginning) => line(printable(beginningText(beginning))),
    draw: ({ arrived, missing }) => {
      if (world.clock() - toldAt < plainEveryMs) return;
      toldAt = world.clock();
      line(`  ${sizeText(arrived)} of ${sizeText(missing)}`);
    },
    done: ({ label, sizeBytes }) => {
      if (sizeBytes >= smallBytes) line(printable(`  ${label}: ${sizeText(sizeBytes)}, done`));
    },
    waiting: once(() => note('The connection fails; trying again …')),
    close: () => {},
  };
}

const plainEveryMs = 10_000;
const liveEveryMs = 100;

function liveDisplay({ world, style }: Session): Display {
  const region = createLiveRegion(world.stdout, style);
  const startedAt = world.clock();
  let drawnAt = 0;
  let trying = false;
  return {
    begin: (beginning) => region.print([printable(beginningText(beginning))]),
    draw: ({ sent, arrived, missing }) => {
      const now = world.clock();
      trying = false;
      if (now - drawnAt < liveEveryMs && arrived < missing) return;
      drawnAt = now;
      const seconds = (now - startedAt) / 1000;
      const rate = seconds < 1 ? '' : `  ${sizeText(sent / seconds)}/s`;
      const percent = missing === 0 ? 100 : Math.floor((100 * arrived) / missing);
      region.show([
        [
          { text: `  ${percent} %`, tone: 'bold' },
          { text: `  ${sizeText(arrived)} of ${sizeText(missing)}` },
          { text: rate, tone: 'dim', short: '' },
        ],
      ]);
    },
    done: ({ label, sizeBytes }) => {
      if (sizeBytes >= smallBytes) region.print([printable(`  ${label}: ${sizeText(sizeBytes)}, done`)]);
    },
    waiting: () => {
      if (!trying) region.show([[{ text: '  connection lost, trying again', tone: 'bad' }]]);
      trying = true;
    },
    close: region.close,
  };
}

/** A line of JSON per event; the push itself is the last one, and not ours. */
function jsonDisplay({ document }: Session): Display {
  return {
    begin: (beginning) => document({ type: 'begin', ...beginning }),
    draw: () => {},
    done: ({ name, sizeBytes }) => {
      if (sizeBytes >= smallBytes) document({ type: 'object', name, sizeBytes });
    },
    waiting: () => {},
    close: () => {},
  };
}

function once(tell: () => void): () => void {
  let told = false;
  return () => {
    if (!told) tell();
    told = true;
  };
}
