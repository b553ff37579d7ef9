import { Problem } from '../functions/runtime/errors.ts';
import type { ControlPlaneConfig } from './config.ts';

/**
 * The installations of this organisation: edit these, and nothing else. `npx cdk deploy` installs the first,
 * `npx cdk deploy -c stage=staging` another.
 */
export const stages: Readonly<Record<'production' | 'staging', ControlPlaneConfig>> = {
  production: { prefix: 'sluice', logDays: 90 },
  staging: { prefix: 'sluice-staging', logDays: 14, logLevel: 'debug' },
};

/** The configuration that `-c stage=…` names; the first where nothing is named. */
export function stageNamed(name: unknown = Object.keys(stages)[0]): ControlPlaneConfig {
  const found = Object.entries(stages).find(([stage]) => stage === name);
  if (found) return found[1];
  throw new Problem('invalid', `stage: expected one of ${Object.keys(stages).join(', ')} (infra/stages.ts)`);
}
