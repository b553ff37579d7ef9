/** What the process exits with; scripts rely on these. */
export const exitCodes = {
  done: 0,
  /** The deployment ended, and not as `succeeded`; a commit or another job failed; a target has less than it should. */
  failed: 1,
  /** Wrong flags or arguments, and what the API refuses (400, 401, 403, 404, 409 and the like). */
  wrongUse: 2,
  /** No connection, no answer in time, 5xx after retries, or a control plane that is not ready. */
  notReachable: 3,
  /** Ctrl-C, as shells have it: 128 and the number of SIGINT. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
