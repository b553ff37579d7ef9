import { readFile } from 'node:fs/promises';
import { basename, extname, resolve } from 'node:path';
import { WrongUse } from './failures.ts';
import type { World } from './world.ts';

/** An app as its file says it, ready for the API, and the id it goes by. */
export type AppFile = { readonly id: string; readonly idFrom: 'flag' | 'file' | 'repository'; readonly app: object };

/**
 * Reads an app from a JSON or YAML file, `-` for standard input (YAML takes JSON as well). Its id is `given`, else the
 * file's `"id"`, else the name of its repository. What `apps show --json` adds to an app is left out, so its output
 * can be edited and applied. Throws `WrongUse`; never with a piece of the file in it, which may hold a secret.
 */
export async function readAppFile(world: World, file: string, given: string | undefined): Promise<AppFile> {
  const name = file === '-' ? 'standard input' : basename(file);
  const parsed = await parse(await textOf(world, file), { name, kind: kindOf(file) });
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new WrongUse(`${name} does not hold an app: expected an object.`);
  }
  const { id, createdAt: _created, updatedAt: _updated, ...app } = parsed as Record<string, unknown>;
  if (given !== undefined) return { id: given, idFrom: 'flag', app };
  if (typeof id === 'string') return { id, idFrom: 'file', app };
  const repository = repositoryName(app);
  if (repository !== undefined) return { id: repository, idFrom: 'repository', app };
  throw new WrongUse(`${name} does not say which app it is.`, { hint: 'Give --id, or an "id" in the file.' });
}

type Kind = 'json' | 'yaml';

function kindOf(file: string): Kind {
  const extension = extname(file).toLowerCase();
  if (file === '-' || extension === '.yaml' || extension === '.yml') return 'yaml';
  if (extension === '.json') return 'json';
  throw new WrongUse(`${basename(file)}: expected a file that ends in .json, .yaml or .yml, or - for standard input.`);
}

async function textOf(world: World, file: string): Promise<string> {
  if (file === '-') return await world.stdin.readAll();
  try {
    return await readFile(resolve(world.folder, file), 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw new WrongUse(`${file} cannot be read: ${code === 'ENOENT' ? 'there is no such file' : code}.`, {
      cause: error,
    });
  }
}

async function parse(text: string, { name, kind }: { name: string; kind: Kind }): Promise<unknown> {
  const { parseDocument } = kind === 'json' && isJson(text) ? {} : await import('yaml');
  if (parseDocument === undefined) return JSON.parse(text);
  const document = parseDocument(text, { prettyErrors: true, logLevel: 'silent' });
  const problem = document.errors[0];
  const where = problem?.linePos ? ` (line ${problem.linePos[0].line}, column ${problem.linePos[0].col})` : '';
  if (kind === 'json') throw new WrongUse(`${name} is not valid JSON${where}.`);
  if (problem) throw new WrongUse(`${name} is not valid ${name.endsWith('input') ? 'JSON or YAML' : 'YAML'}${where}.`);
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new WrongUse(`${name} cannot be read: its aliases are wrong or too many.`, { cause: error });
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** `web` of `git@github.com:acme/web.git`. */
function repositoryName(app: Record<string, unknown>): string | undefined {
  const source = app['source'];
  const url = typeof source === 'object' && source !== null && 'repoUrl' in source ? source.repoUrl : undefined;
  if (typeof url !== 'string') return undefined;
  const name = /([^/:]+?)(?:\.git)?\/*$/.exec(url)?.[1]?.toLowerCase();
  return name !== undefined && /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/.test(name) ? name : undefined;
}
