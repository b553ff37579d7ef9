import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { WrongUse } from './failures.ts';
import type { World } from './world.ts';

/** Where the API is, and the token by which it knows us. */
export type Connection = {
  /** Without a slash at its end; it may hold a path, under which the API then is. */
  readonly baseUrl: string;
  /** Undefined where none was found: what needs no token works without. */
  readonly token: string | undefined;
  /** Where the two come from, for messages. */
  readonly origin: { readonly url: string; readonly token: string };
};

/**
 * `SLUICE_URL` and `SLUICE_TOKEN`; what is missing comes from the local server's files in `SLUICE_DATA`, or in the
 * nearest `.sluice` from the current folder upwards. Throws `WrongUse` when there is no server to speak to.
 *
 * A file in a folder we happen to be in must not lead a token astray: only a server on this machine is taken from
 * there, and the local token is given to that server alone.
 */
export async function findConnection(world: World): Promise<Connection> {
  const givenUrl = world.env['SLUICE_URL'] || undefined;
  const givenToken = world.env['SLUICE_TOKEN']?.trim() || undefined;
  const local = givenUrl && givenToken ? undefined : await findLocalServer(world);
  const baseUrl = givenUrl === undefined ? local?.baseUrl : checkedUrl(givenUrl);
  if (baseUrl === undefined) throw noServer(world);
  const origin = { url: givenUrl ? 'SLUICE_URL' : (local?.serverFile ?? ''), token: 'SLUICE_TOKEN' };
  if (givenToken) return { baseUrl, token: givenToken, origin };
  const ours = local !== undefined && new URL(baseUrl).origin === new URL(local.baseUrl).origin;
  if (!ours) return { baseUrl, token: undefined, origin };
  return { baseUrl, token: await findText(local.tokenFile), origin: { ...origin, token: local.tokenFile } };
}

type LocalServer = { readonly baseUrl: string; readonly serverFile: string; readonly tokenFile: string };

async function findLocalServer(world: World): Promise<LocalServer | undefined> {
  for (const folder of dataFolders(world)) {
    const serverFile = join(folder, 'server.json');
    const text = await findText(serverFile);
    if (text === undefined) continue;
    return { baseUrl: localUrl(text, serverFile), serverFile, tokenFile: join(folder, 'admin-token') };
  }
  return undefined;
}

function dataFolders(world: World): readonly string[] {
  const given = world.env['SLUICE_DATA'];
  if (given) return [resolve(world.folder, given)];
  const folders = [];
  for (let folder = world.folder; ; folder = dirname(folder)) {
    folders.push(join(folder, '.sluice'));
    if (dirname(folder) === folder) return folders;
  }
}

function localUrl(text: string, serverFile: string): string {
  const url = urlIn(text);
  if (url === undefined || !URL.canParse(url)) {
    throw new WrongUse(`${serverFile} names no server.`, { hint: 'Start the server again, or set SLUICE_URL.' });
  }
  if (!isThisMachine(new URL(url).hostname)) {
    throw new WrongUse(`${serverFile} names a server that is not on this machine.`, {
      hint: 'If you trust it, say so by SLUICE_URL and SLUICE_TOKEN.',
    });
  }
  return checkedUrl(url);
}

function urlIn(text: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    const url = typeof parsed === 'object' && parsed !== null && 'url' in parsed ? parsed.url : undefined;
    return typeof url === 'string' ? url : undefined;
  } catch {
    return undefined;
  }
}

function isThisMachine(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (!url || !isWeb || url.username || url.password || url.search || url.hash) {
    throw new WrongUse(
      'SLUICE_URL: expected a URL such as https://deploy.example.com or http://127.0.0.1:4600/sluice',
      {
        hint: 'It has neither a user name nor a query; the token goes into SLUICE_TOKEN.',
      },
    );
  }
  return url.href.replace(/\/+$/, '');
}

function noServer(world: World): WrongUse {
  const where = world.env['SLUICE_DATA'] ? 'in SLUICE_DATA' : 'in .sluice here or in a folder above';
  return new WrongUse(
    `No server: SLUICE_URL is not set, and no local server was found ${where}. Start one with "npm start", or set SLUICE_URL and SLUICE_TOKEN.`,
  );
}

async function findText(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new WrongUse(`${file} cannot be read (${String(code)}).`, { cause: error });
  }
}
