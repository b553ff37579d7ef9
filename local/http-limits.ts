/** What the server bears from its clients; times in milliseconds. */
export type HttpLimits = {
  /** Until a request's header must be whole. */
  readonly headersMs: number;
  /** Until its body must be whole, for all but the requests of `first`, which bring what takes long. */
  readonly bodyMs: number;
  /** A transfer goes on as long as so many bytes of it come in each `bodyMs`. */
  readonly leastTransferBytes: number;
  /** How long a connection may be silent in both directions while a request is on it; above every long poll. */
  readonly silenceMs: number;
  /** The same for the requests of `first`: a Git client may be silent while it packs. */
  readonly firstSilenceMs: number;
  /** How long a connection may wait for its next request. */
  readonly keepAliveMs: number;
  readonly maxConnections: number;
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
};

export const defaultLimits: HttpLimits = {
  headersMs: 10_000,
  bodyMs: 60_000,
  leastTransferBytes: 64 * 1024,
  silenceMs: 60_000,
  firstSilenceMs: 600_000,
  keepAliveMs: 65_000,
  maxConnections: 2000,
  maxHeaderBytes: 16_384,
  maxHeaders: 100,
};
