import { createClient, type Client } from './client.ts';
import { findConnection } from './connection.ts';
import { styleOf, type Style } from './style.ts';
import { table, type Column } from './table.ts';
import { printable, printableJson } from './terminal-text.ts';
import type { World } from './world.ts';

/** What a verb works with. */
export type Session = {
  readonly world: World;
  readonly json: boolean;
  /** The style of what goes to standard output. */
  readonly style: Style;
  /** The API's client; found at the first call, so that a verb's own mistakes come first. */
  readonly client: () => Promise<Client>;
  /** A line of the result. It is printed as it is: text of others goes through `printable` before. */
  readonly line: (text?: string) => void;
  /** The whole result under `--json`. */
  readonly document: (value: unknown) => void;
  readonly table: <Row>(rows: readonly Row[], columns: readonly Column<Row>[]) => void;
  /** Something beside the result, for the person only: on standard error, and not under `--json`. */
  readonly note: (text: string) => void;
};

export function createSession(world: World, json: boolean): Session {
  let client: Promise<Client> | undefined;
  const style = styleOf(world.stdout, world.env, json);
  const line = (text = '') => world.stdout.write(`${text}\n`);
  return {
    world,
    json,
    style,
    client: () => (client ??= findConnection(world).then((connection) => createClient(world, connection))),
    line,
    document: (value) => line(printableJson(value)),
    table: (rows, columns) => table(rows, columns, style).forEach((text) => line(text)),
    note: (text) => {
      if (!json) world.stderr.write(`${printable(text)}\n`);
    },
  };
}
