import type { Context, Hono } from 'hono';
import type { CiJob, FetchJson } from '../access/oidc.ts';
import type { ApiPorts } from '../ports/ports.ts';
import type { Metrics, Scrape } from '../runtime/metrics.ts';
import type { Sleep } from './follow.ts';
import type { WrongToken } from './wrong-tokens.ts';

/** All that the API needs; an entry point wires it. */
export type ApiOptions = {
  readonly ports: ApiPorts;
  /** Asked for each request, so that what was rotated counts without a restart; whoever gives them caches them. */
  readonly credentials: () => Promise<Credentials>;
  /** Told by `/health` and the OpenAPI document. */
  readonly version: string;
  readonly metrics: Metrics;
  /** What `/metrics` tells; left out where metrics go another way, and then there is no such path. */
  readonly scrape?: Scrape;
  /** Reads the keys of the issuer whose tokens are exchanged for ours; left out: none are. */
  readonly fetchJson?: FetchJson;
  /** By what URL this control plane knows itself, where it signs URLs to itself. */
  readonly ownUrl?: () => string;
  /** Where a request came from; left out: all come from one place. */
  readonly addressOf?: (c: Context) => string;
  /** Fit for cryptography. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Whether clients reach this control plane by https. */
  readonly https?: boolean;
  /** Fires when the server closes: whoever waits for news is answered at once. */
  readonly closing?: AbortSignal;
  readonly sleep?: Sleep;
  /** How often whoever waits for news is looked for it; default 200. More where every look is paid for. */
  readonly followEveryMs?: number;
  /** Routes of this cloud's own, which see to their callers' rights themselves. */
  readonly routes?: readonly Hono[];
};

/** During a rotation the old one and the new one are both good; an empty list lets nobody in. */
export type Credentials = {
  readonly adminTokens: readonly string[];
  readonly webhookSecrets: readonly string[];
};

/** What the route files get. */
export type RouteDependencies = {
  readonly ports: ApiPorts;
  readonly randomBytes: ApiOptions['randomBytes'];
  readonly ownUrl?: () => string;
  /** Those that are good now: tokens are signed by the first. */
  readonly adminTokens: () => Promise<readonly string[]>;
  readonly wrongToken: WrongToken;
  /** Whose job a token of CI was made for; left out where none is taken. */
  readonly verifyJob?: (token: string) => Promise<CiJob>;
  /** Waits for news on behalf of a request. */
  readonly waiting: (c: Context, waitSeconds: number | undefined) => WaitOptions;
};

export type WaitOptions = {
  readonly clock: ApiPorts['clock'];
  readonly sleep: Sleep;
  readonly waitSeconds: number;
  readonly everyMs?: number | undefined;
  readonly signal: AbortSignal;
};
