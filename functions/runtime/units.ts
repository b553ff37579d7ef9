/** Milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = number;
/** A full, lower-case SHA-1 or SHA-256 of a Git commit (40 or 64 hex digits). */
export type CommitSha = string;
/** `sha256:` and 64 lower-case hex digits. */
export type Digest = `sha256:${string}`;

export const commitShaPattern = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
export const digestPattern = /^sha256:[0-9a-f]{64}$/;

/** ISO 8601 in UTC, as the API shows every time. */
export function isoTime(at: EpochMs): string {
  return new Date(at).toISOString();
}
