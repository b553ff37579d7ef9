import { isIP } from 'node:net';
import { resolve } from 'node:path';
import * as v from 'valibot';
import type { Limits, Policy } from '../functions/ports/ports.ts';
import { Problem, type Issue } from '../functions/runtime/errors.ts';

/** The settings of the local server, as its environment gives them. */
export type Config = {
  /** 0: any free port. */
  readonly port: number;
  readonly host: string;
  /** An absolute path. */
  readonly dataFolder: string;
  /** Undefined: the one kept in the data folder. */
  readonly adminToken: string | undefined;
  readonly webhookSecret: string | undefined;
  readonly engine: 'auto' | 'docker' | 'process';
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** `auto`: text for a person at a terminal, JSON lines elsewhere. */
  readonly logFormat: 'auto' | 'json' | 'text';
  /** Whether artifacts may be fetched from loopback and private addresses. */
  readonly fetchAllowPrivate: boolean;
  /** Where apps are reached by host name; undefined: nowhere. */
  readonly ingressPort: number | undefined;
  /** How many builds run at once; undefined: what suits the machine. */
  readonly buildConcurrency: number | undefined;
  readonly limits: Limits;
  readonly oidc: Policy['oidc'];
};

/** 100 TiB. */
const mostBytes = 100 * 1024 ** 4;
const port = (min: number) => number(min, 65_535);
const credential = v.pipe(
  v.string(),
  // A token travels in a header; what a shell or an env file adds by mistake (blanks, line ends) is found here.
  v.regex(/^[\x21-\x7e]{16,512}$/, '16 to 512 printable ASCII characters without blanks'),
);

/** Every setting by the name of its variable; the README's table is held to it. */
export const settings = {
  PORT: v.optional(port(0), '4600'),
  HOST: v.optional(v.pipe(v.string(), v.check(isHost, 'an IP address or a host name')), '127.0.0.1'),
  SLUICE_DATA: v.optional(
    v.pipe(
      v.string(),
      v.check((path) => !path.includes('\0'), 'a path without NUL'),
    ),
    '.sluice',
  ),
  SLUICE_ADMIN_TOKEN: v.optional(credential),
  SLUICE_WEBHOOK_SECRET: v.optional(credential),
  SLUICE_ENGINE: v.optional(v.picklist(['auto', 'docker', 'process'], 'auto, docker or process'), 'auto'),
  LOG_LEVEL: v.optional(
    v.picklist(['debug', 'info', 'warn', 'error', 'silent'], 'debug, info, warn, error or silent'),
    'info',
  ),
  LOG_FORMAT: v.optional(v.picklist(['auto', 'json', 'text'], 'auto, json or text'), 'auto'),
  SLUICE_FETCH_ALLOW_PRIVATE: v.optional(v.picklist(['true', 'false'], 'true or false'), 'false'),
  SLUICE_INGRESS_PORT: v.optional(port(0)),
  SLUICE_BUILD_CONCURRENCY: v.optional(number(1, 64)),
  SLUICE_RATE_PER_MINUTE: v.optional(number(1, 1_000_000), '1200'),
  SLUICE_MAX_OBJECT_BYTES: v.optional(number(1, mostBytes), '5368709120'),
  SLUICE_MAX_BUILD_BYTES: v.optional(number(1, mostBytes), '21474836480'),
  SLUICE_MAX_BUILD_OBJECTS: v.optional(number(1, 100_000_000), '500000'),
  SLUICE_MAX_APP_BYTES: v.optional(number(1, mostBytes), '214748364800'),
  SLUICE_OIDC_ISSUER: v.optional(
    v.pipe(v.string(), v.check(isIssuer, 'an https URL, or an http one of this machine, without query or fragment')),
    'https://token.actions.githubusercontent.com',
  ),
  SLUICE_OIDC_AUDIENCE: v.optional(
    v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,255}$/, '1 to 255 printable ASCII characters without blanks')),
    'sluice',
  ),
} as const;

/** Set to nothing is a mistake for these; for the others it is as good as not set, as many tools write it so. */
const neverEmpty: readonly string[] = ['SLUICE_ADMIN_TOKEN', 'SLUICE_WEBHOOK_SECRET'];

/**
 * Reads and checks the whole configuration. Throws one `Problem('invalid')` that names every wrong variable and what
 * was expected of it, never its value.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(
    Object.keys(settings).flatMap((name) => {
      const value = env[name];
      return value === undefined || (value === '' && !neverEmpty.includes(name)) ? [] : [[name, value]];
    }),
  );
  const result = v.safeParse(v.object(settings), given);
  if (!result.success) throw wrong(result.issues.map(issueOf));
  const values = result.output;
  return {
    port: values.PORT,
    host: values.HOST,
    dataFolder: resolve(values.SLUICE_DATA),
    adminToken: values.SLUICE_ADMIN_TOKEN,
    webhookSecret: values.SLUICE_WEBHOOK_SECRET,
    engine: values.SLUICE_ENGINE,
    logLevel: values.LOG_LEVEL,
    logFormat: values.LOG_FORMAT,
    fetchAllowPrivate: values.SLUICE_FETCH_ALLOW_PRIVATE === 'true',
    ingressPort: values.SLUICE_INGRESS_PORT,
    buildConcurrency: values.SLUICE_BUILD_CONCURRENCY,
    limits: {
      objectBytes: values.SLUICE_MAX_OBJECT_BYTES,
      buildBytes: values.SLUICE_MAX_BUILD_BYTES,
      buildObjects: values.SLUICE_MAX_BUILD_OBJECTS,
      appBytes: values.SLUICE_MAX_APP_BYTES,
      requestsPerMinute: values.SLUICE_RATE_PER_MINUTE,
    },
    oidc: { issuer: values.SLUICE_OIDC_ISSUER.replace(/\/$/, ''), audience: values.SLUICE_OIDC_AUDIENCE },
  };
}

function wrong(issues: readonly Issue[]): Problem {
  const list = issues.map(({ field, expected }) => `${field} must be ${expected}`).join('; ');
  return new Problem('invalid', `The configuration is not valid: ${list}`, { issues });
}

function issueOf(issue: v.BaseIssue<unknown>): Issue {
  return { field: String(issue.path?.[0]?.key), expected: issue.message };
}

function number(min: number, max: number) {
  const expected = `a whole number from ${min} to ${max}`;
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,15}$/, expected),
    v.transform(Number),
    v.minValue(min, expected),
    v.maxValue(max, expected),
  );
}

/** Keys that came over plain HTTP could be anybody's: that is for tests on this very machine. */
function isIssuer(text: string): boolean {
  if (!URL.canParse(text) || text.length > 255) return false;
  const { protocol, hostname, search, hash, username, password } = new URL(text);
  if (search !== '' || hash !== '' || username !== '' || password !== '' || /[?#]/.test(text)) return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function isHost(host: string): boolean {
  return (
    isIP(host) !== 0 ||
    /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i.test(host)
  );
}
