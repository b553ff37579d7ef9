import type { Connection } from '../connection.ts';
import { WrongUse } from '../failures.ts';

/**
 * The id in `7` or in a build's URL. A URL must be one of the server we speak to: our token is for that one alone.
 * Throws `WrongUse`.
 */
export function buildIdOf(text: string, connection: Connection): string {
  return idOf(text, { connection, what: 'build' });
}

/** The same of a job. */
export function jobIdOf(text: string, connection: Connection): string {
  return idOf(text, { connection, what: 'job' });
}

/** The URL of a build, as `push` and the others take it. */
export function buildUrl(id: number | string, { baseUrl }: Connection): string {
  return `${baseUrl}/api/v1/build/${id}`;
}

function idOf(text: string, { connection, what }: { connection: Connection; what: 'build' | 'job' }): string {
  if (/^\d{1,10}$/.test(text)) return text;
  if (!/^https?:\/\//i.test(text)) {
    throw new WrongUse(`"${text}" is no ${what}: expected its number or its URL.`);
  }
  const base = `${connection.baseUrl}/api/v1/${what}/`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url && !url.username && !url.password ? `${url.origin}${url.pathname}` : '';
  if (!plain.startsWith(base)) {
    throw new WrongUse(`${text} is not at ${connection.baseUrl}: the token is for that server alone.`, {
      hint: `The address is from ${connection.origin.url}; set SLUICE_URL, and SLUICE_TOKEN, for the other one.`,
    });
  }
  const id = /^(\d{1,10})\/?$/.exec(plain.slice(base.length))?.[1];
  if (id === undefined) throw new WrongUse(`${text} is not the URL of a ${what}.`);
  return id;
}
