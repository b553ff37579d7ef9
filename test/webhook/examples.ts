import { readFileSync } from 'node:fs';

type EventExamples = { readonly name: string; readonly examples: readonly unknown[] };

/** GitHub's own examples of payloads; the package's types are for a bundler. */
export const examples = JSON.parse(
  readFileSync(new URL(import.meta.resolve('@octokit/webhooks-examples')), 'utf8'),
) as readonly EventExamples[];
