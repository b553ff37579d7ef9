import { createHash } from 'node:crypto';
import { Problem } from '../../runtime/errors.ts';
import { filezChecksum } from './filez-checksum.ts';
import { parseObjectName, type ObjectName } from './object-name.ts';

/** A body on its way to the store. */
export type Verified = {
  /** The same bytes, one chunk asked for after the other; throws `Problem('invalid')` for what cannot be the object's. */
  readonly body: AsyncIterable<Uint8Array>;
  /** To be called when `body` has ended; throws `Problem('invalid')` when its bytes are not those of the name. */
  readonly check: () => void;
};

/**
 * Proves while it streams through that a body is what an object's name says: by its digest, or for a file of an OSTree
 * repository by the checksum of what is packed in it. Pieces of a static delta may hold anything: their name says only
 * which commit they are for. Throws `Problem('invalid')` for a name that none can have.
 */
export function verifying(name: string, body: AsyncIterable<Uint8Array>): Verified {
  const prover = proverOf(parseObjectName(name));
  let proven: { readonly isRight: boolean } | undefined;
  return {
    body: through(body, prover, {
      ended: (isRight) => (proven = { isRight }),
      describe: (error) => describe(name, error),
    }),
    check: () => {
      if (!proven) throw new Error(`The bytes of ${name} have not been read to their end`);
      if (!proven.isRight) throw new Problem('invalid', `${name}: its bytes are not those that its name says`);
    },
  };
}

type Prover = {
  update(chunk: Uint8Array): void | Promise<void>;
  /** Whether the bytes were those of the name. */
  end(): boolean | Promise<boolean>;
  close(): void;
};

function proverOf(name: ObjectName): Prover {
  if (name.kind === 'delta') return { update: () => {}, end: () => true, close: () => {} };
  const { hex } = name;
  if (name.kind === 'filez') {
    const checksum = filezChecksum();
    return { ...checksum, end: async () => (await checksum.end()) === hex };
  }
  const hash = createHash('sha256');
  return { update: (chunk) => void hash.update(chunk), end: () => hash.digest('hex') === hex, close: () => {} };
}

type Telling = { readonly ended: (isRight: boolean) => void; readonly describe: (error: unknown) => unknown };

async function* through(
  body: AsyncIterable<Uint8Array>,
  prover: Prover,
  { ended, describe }: Telling,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) {
      await telling(async () => await prover.update(chunk), describe);
      yield chunk;
    }
    ended(await telling(async () => await prover.end(), describe));
  } finally {
    prover.close();
  }
}

async function telling<T>(work: () => Promise<T>, describe: (error: unknown) => unknown): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw describe(error);
  }
}

/** The name goes before what is wrong: a request brings many objects. */
function describe(name: string, error: unknown): unknown {
  if (!(error instanceof Problem)) return error;
  return new Problem(error.kind, `${name}: ${error.message}`, { cause: error });
}
