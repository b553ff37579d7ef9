import type { Policy } from '../ports/ports.ts';
import { invalid, parseInput } from '../runtime/parse.ts';
import { ruleIssues } from './rules.ts';
import { appSchema, type App } from './schema.ts';

/**
 * Takes an app as a person writes it, whole: shapes, limits and defaults first, then the rules between fields and what
 * this cloud allows. Throws `Problem('invalid')` with every wrong field and never a value.
 */
export function parseApp(input: unknown, policy: Pick<Policy, 'source' | 'targets' | 'builds'>): App {
  const app = parseInput(appSchema, input, 'app');
  const issues = ruleIssues(app, policy);
  if (issues.length > 0) throw invalid('app', issues);
  return app;
}
