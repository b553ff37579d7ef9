import { globSync, readFileSync } from 'node:fs';
import { toJsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { appSchema } from '../../functions/apps/schema.ts';
import { settings } from '../../local/config.ts';
import { commandsOf } from '../../scripts/readme-blocks.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const readme = read('README.md');
const appFile = read('docs/app-file.md');
const pages = ['README.md', 'examples/hello/README.md', ...globSync('docs/*.md', { cwd: root })];

/** The rows of the table with this head: what stands in the first two cells, without its backticks. */
function rowsOf(markdown: string, head: string): readonly (readonly [string, string])[] {
  const [, table = ''] = markdown.split(`${head}\n`);
  const lines = table.split('\n').slice(1);
  const rows = lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith('|')),
  );
  return rows.map((row) => {
    const [, first = '', second = ''] = row.split('|').map((cell) => cell.trim());
    return [first.replaceAll('`', ''), second];
  });
}

/** The anchors that GitHub gives a page's headings. */
function headingsOf(markdown: string): readonly string[] {
  const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => text.toLowerCase());
  return headings.map((text) => text.replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'));
}

type Node = {
  readonly properties?: Record<string, Node>;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
  readonly default?: unknown;
  readonly required?: readonly string[];
};

/** Every field that holds no others, by its path, with its default where it has one. */
function fieldsOf(node: Node, path = ''): readonly (readonly [string, unknown])[] {
  const variants = [...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.properties ? [node] : [])];
  if (variants.length > 0) {
    return variants.flatMap(({ properties = {} }) =>
      Object.entries(properties).flatMap(([name, child]) => fieldsOf(child, path === '' ? name : `${path}.${name}`)),
    );
  }
  const within = node.items ? fieldsOf(node.items, `${path}[]`) : [];
  return within.some(([field]) => field !== `${path}[]`) ? within : [[path, node.default]];
}

const schema = toJsonSchema(appSchema, { typeMode: 'input', errorMode: 'ignore' }) as Node;
const fields = new Map(fieldsOf(schema));

describe('the table of the app file', () => {
  const rows = rowsOf(appFile, '| field | default | what it says |');

  it('has every field of the schema, and no other', () => {
    expect(fields.size).toBeGreaterThan(40);
    expect(rows.map(([field]) => field).sort()).toEqual([...fields.keys()].sort());
  });

  it('has the defaults of the schema', () => {
    const withDefault = [...fields].filter(([, value]) => value !== undefined);
    const told = new Map(rows);
    expect(withDefault.map(([field]) => [field, told.get(field)])).toEqual(
      withDefault.map(([field, value]) => [field, `\`${JSON.stringify(value)}\``]),
    );
  });
});

describe('the table of settings', () => {
  const rows = rowsOf(readme, '| variable | default | what it does |');

  it('has every variable that the server reads, and no other', () => {
    expect(rows.map(([name]) => name).sort()).toEqual(Object.keys(settings).sort());
  });

  it('has the defaults that it takes', () => {
    const told = new Map(rows);
    const withDefault = Object.entries(settings).filter(([, schema]) => v.getDefault(schema) !== undefined);
    expect(withDefault.length).toBeGreaterThan(4);
    for (const [name, schema] of withDefault) expect(told.get(name)).toBe(`\`${String(v.getDefault(schema))}\``);
  });
});

describe('the pages', () => {
  it.each(pages)('%s shows apps that are valid', (page) => {
    const blocks = [...read(page).matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(
      ([, json = '']) => JSON.parse(json) as object,
    );
    const apps = blocks.filter((block) => 'environments' in block);
    for (const app of apps) expect(v.safeParse(appSchema, app).issues).toBeUndefined();
    expect(page !== 'README.md' || apps.length > 0).toBe(true);
  });

  it.each(pages)('%s leads to files that are there', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link = '']) => link);
    for (const link of links)
      expect(globSync(link, { cwd: new URL(page, root).pathname.replace(/[^/]*$/, '') })).toHaveLength(1);
  });

  it.each(pages)('%s leads to headings that are there', (page) => {
    const anchors = [...read(page).matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)];
    for (const [, path = '', anchor] of anchors) {
      const target = path === '' ? page : new URL(path, new URL(page, root)).pathname.slice(root.pathname.length);
      expect(headingsOf(read(target))).toContain(anchor);
    }
  });

  it('names rooms that are there', () => {
    const rooms = [...readme.matchAll(/\b(?:functions|local|buildspecs|cli|docs|scripts|test|bin)\/[\w/.-]*\w/g)];
    const missing = [...new Set(rooms.map(([path]) => path))].filter(
      (path) => globSync(path, { cwd: root }).length === 0,
    );
    expect(missing).toEqual([]);
  });

  it('quotes errors as they are told', () => {
    const sources = globSync(['functions/**/*.ts', 'local/**/*.ts', 'cli/**/*.ts', 'buildspecs/**/*.ts'], {
      cwd: root,
    });
    const told = sources.map((path) => read(path)).join('\n');
    const here = rowsOf(readme, '| what it says | what to do |').map(([text]) => text);
    const onAws = rowsOf(read('docs/aws.md'), '| what it says | what is missing |').map(([text]) => text);
    expect(onAws.length).toBeGreaterThan(5);
    const ours = [...here, ...onAws].filter((text) => !text.endsWith("'s own)"));
    expect(ours.length).toBeGreaterThan(15);
    // A piece may begin or end with punctuation that stands in another string.
    const pieces = ours.flatMap((text) => text.split('…').map((piece) => piece.replaceAll(/^[\s(:]+|[\s():.]+$/g, '')));
    expect(pieces.filter((piece) => !told.includes(piece))).toEqual([]);
  });
});

describe('the commands of a page', () => {
  it('are those of the marked blocks, line by line', () => {
    const markdown = [
      '```sh', 'rm -rf /', '```', '', '<!-- ci server -->', '```sh', 'npm ci', 'npm start', '```', '',
      '<!-- ci -->', '```sh', '# a comment', 'one \\', '  two   # exits with 1', "echo '#'  # why", '```', '',
    ].join('\n'); // prettier-ignore
    expect(commandsOf(markdown)).toEqual([
      { text: 'npm ci', isServer: false, exitCode: 0 },
      { text: 'npm start', isServer: true, exitCode: 0 },
      { text: 'one    two', isServer: false, exitCode: 1 },
      { text: "echo '#'", isServer: false, exitCode: 0 },
    ]);
  });

  it.each(['README.md', 'examples/hello/README.md'])('of %s begin with the two that set up', (page) => {
    expect(commandsOf(read(page)).slice(0, 2)).toMatchObject([
      { text: 'npm ci' },
      { text: 'npm start', isServer: true },
    ]);
  });
});
