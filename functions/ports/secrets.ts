/** Names are paths of lower-case words: `apps/web/database-url`. A version, once written, never changes. */
export interface Secrets {
  /** Stores a new version and makes it the current one. */
  write(name: string, value: string): Promise<{ version: string }>;
  /** The current version, or the one named; throws `Problem('not-found')` naming the secret, never a value. */
  read(name: string, version?: string): Promise<{ value: string; version: string }>;
  /** The current version's name without its value; undefined when there is no such secret. */
  findVersion(name: string): Promise<string | undefined>;
  /** The names under a prefix that ends in `/`. */
  list(prefix: string): Promise<readonly string[]>;
  /** Removes a secret with all its versions; one that is not there is no error. */
  remove(name: string): Promise<void>;
  /** Throws when the store cannot be reached. */
  ready(): Promise<void>;
}
