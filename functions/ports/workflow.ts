/** Runs `functions/workflow/deploy.asl.json`, one execution a deployment. */
export interface Workflow {
  /**
   * Starts the execution of a deployment from the top; harmless while it runs. One that ends again and again may be begun
   * anew only after a while: whoever reconciles asks again.
   */
  start(deploymentId: string): Promise<void>;
  /** Whether the deployment's execution is running. */
  isRunning(deploymentId: string): Promise<boolean>;
  /** Ends the deployment's execution where it stands, so that `start` may begin anew; harmless when none runs. */
  stop(deploymentId: string, reason: string): Promise<void>;
  /** Answers a waiting state; false when nobody waits with that token any more. */
  resume(token: string, output: Readonly<Record<string, unknown>>): Promise<boolean>;
  /** Ends a waiting state with an error the workflow's Catch matches by name; false when nobody waits any more. */
  fail(token: string, error: { readonly name: string; readonly reason: string }): Promise<boolean>;
  ready(): Promise<void>;
}
