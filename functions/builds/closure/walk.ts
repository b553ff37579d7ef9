import type { Objects } from '../../ports/objects.ts';
import { Problem } from '../../runtime/errors.ts';
import type { Entry } from '../contents.ts';
import type { Presence } from '../present.ts';

/** Something wrong with an object of a build, in words that its maker can act on. */
export type ClosureIssue = { readonly name: string; readonly issue: string };

/**
 * A walk through everything that a build's refs stand for. Each object that is met is noted, and so is each that is not
 * there; a walk goes on behind what is wrong, so that all of it is told at once.
 */
export type Walk = {
  /** Notes an object; what is told of it when it is there, and of the size that was expected of it. */
  readonly visit: (name: string, expected?: { readonly sizeBytes: number }) => Entry | undefined;
  /** The bytes of a small object; undefined, and noted, where they cannot be had. */
  readonly read: (name: string, entry: Entry) => Promise<Buffer | undefined>;
  /** The first bytes of any object, at least two where it has so many; undefined, and noted, where it is not there. */
  readonly head: (name: string, entry: Entry) => Promise<Uint8Array | undefined>;
  readonly refuse: (name: string, issue: string) => void;
  readonly isThere: (name: string) => boolean;
  readonly visited: ReadonlyMap<string, Entry>;
  readonly issues: readonly ClosureIssue[];
};

const headBytes = 2;
/** Manifests, configurations and OSTree's metadata are held in memory one by one. */
const mostMetadataBytes = 32 * 1024 ** 2;

export function startWalk(objects: Pick<Objects, 'read'>, presence: Pick<Presence, 'own' | 'published'>): Walk {
  const visited = new Map<string, Entry>();
  const issues: ClosureIssue[] = [];
  const told = new Set<string>();

  function refuse(name: string, issue: string): void {
    const key = `${name} ${issue}`;
    if (!told.has(key)) issues.push({ name, issue });
    told.add(key);
  }

  async function* bytesOf(name: string, { digest }: Entry): AsyncGenerator<Uint8Array> {
    try {
      yield* await objects.read(digest);
    } catch (error) {
      if (!(error instanceof Problem && error.kind === 'not-found')) throw error;
      refuse(name, 'is missing');
    }
  }

  const find = (name: string) => presence.own.stored.get(name) ?? presence.published.get(name);

  return {
    visited,
    issues,
    refuse,
    isThere: (name) => find(name) !== undefined,

    visit(name, expected) {
      const entry = find(name);
      if (!entry) {
        refuse(name, presence.own.declared.has(name) ? 'was announced, but is not there whole' : 'is missing');
        return undefined;
      }
      visited.set(name, entry);
      if (!expected || expected.sizeBytes === entry.sizeBytes) return entry;
      refuse(name, `has ${entry.sizeBytes} bytes and not the ${expected.sizeBytes} that are said of it`);
      return undefined;
    },

    async head(name, entry) {
      let head = Buffer.alloc(0);
      for await (const chunk of bytesOf(name, entry)) {
        head = Buffer.concat([head, chunk]);
        if (head.byteLength >= headBytes) return head;
      }
      return told.has(`${name} is missing`) ? undefined : head;
    },

    async read(name, entry) {
      if (entry.sizeBytes > mostMetadataBytes) {
        refuse(name, `is larger than the ${mostMetadataBytes} bytes that its kind may have`);
        return undefined;
      }
      const chunks: Uint8Array[] = [];
      for await (const chunk of bytesOf(name, entry)) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      if (bytes.byteLength === entry.sizeBytes) return bytes;
      if (!told.has(`${name} is missing`)) refuse(name, 'has lost bytes');
      return undefined;
    },
  };
}
