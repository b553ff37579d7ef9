/** The parts of dynalite 4.0.0 that `embedded-dynamo.ts` uses; the package brings no types. */
declare module 'dynalite/db/index.js' {
  export type Callback = (error: Error | null | void, result?: unknown) => void;
  export type Operation =
    | { readonly type: 'put'; readonly key: string; readonly value: unknown }
    | { readonly type: 'del'; readonly key: string };
  export type SubDb = {
    get(key: string, callback: Callback): void;
    put(key: string, value: unknown, callback: Callback): void;
    del(key: string, callback: Callback): void;
    createValueStream(options: object): unknown;
    readonly lock: unknown;
  };
  /** An abstract-level database with JSON values; its own methods take callbacks, its prototype's are the originals. */
  export type Level = {
    open(): Promise<void>;
    close(): Promise<void>;
    batch(operations: readonly Operation[], options: { readonly sync: boolean }): Promise<void>;
  };
  export type Store = {
    readonly db: Level;
    getTable(name: string, callback: Callback): void;
    getItemDb(table: string): SubDb;
    getIndexDb(type: 'Local' | 'Global' | 'local' | 'global', table: string, index: string): SubDb;
  };
  const db: { create(options: { path?: string; createTableMs: number; maxItemSizeKb?: number }): Store };
  export default db;
}
declare module 'dynalite/validations/index.js' {
  import type { Store } from 'dynalite/db/index.js';
  const validations: {
    checkTypes(input: unknown, types: unknown): object;
    checkValidations(input: object, types: unknown, custom: unknown, store: Store): void;
  };
  export default validations;
}
declare module 'dynalite/validations/*.js' {
  const validation: { readonly types: unknown; readonly custom: unknown };
  export default validation;
}
declare module 'dynalite/actions/*.js' {
  import type { Callback, Store } from 'dynalite/db/index.js';
  const action: (store: Store, input: object, callback: Callback) => void;
  export default action;
}
declare module 'dynalite' {
  import type { Server } from 'node:http';
  /** dynalite as a server, in memory. */
  export default function dynalite(options: { readonly createTableMs: number }): Server;
}
