import type { BuildKind } from '../ports/builder.ts';
import type { BuildSpec } from './spec.ts';

/** What a job's worker says after each piece of its work; the workflow goes by it. */
export type JobStep =
  /** There is more to do, as soon as possible. */
  | { readonly next: 'again' }
  | { readonly next: 'wait'; readonly seconds: number }
  /** A build is to be run, and told of to `record-check`. */
  | {
      readonly next: 'build';
      readonly build: { readonly id: string; readonly kind: BuildKind; readonly spec: BuildSpec };
    }
  | { readonly next: 'ended'; readonly results: Readonly<Record<string, unknown>>; readonly lines?: readonly string[] }
  | { readonly next: 'broken'; readonly reason: string; readonly lines?: readonly string[] };
