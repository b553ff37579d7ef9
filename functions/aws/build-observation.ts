import type { Build, BuildPhase } from '@aws-sdk/client-codebuild';
import { buildReason, endStatus, type BuildEnd } from '../ports/build-end.ts';
import type { BuildObservation, PhaseTime } from '../ports/builder.ts';
import { specVariable } from './build-requests.ts';

/** The phases that our buildspecs have; CodeBuild tells of its own around them, too. */
const ownPhases = new Set(['PRE_BUILD', 'BUILD', 'POST_BUILD']);

/**
 * A build as CodeBuild describes it, in our words; pure.
 * https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html
 */
export function observationOf(build: Build): BuildObservation {
  if (!hasEnded(build)) return { status: 'running', phase: (build.currentPhase ?? 'SUBMITTED').toLowerCase() };
  const exported = exportedOf(build);
  const end = { phases: phasesOf(build), exported };
  if (build.buildStatus === 'SUCCEEDED') return { status: 'succeeded', reason: '', ...end };
  const told: BuildEnd = {
    status: endedStatuses[build.buildStatus ?? 'FAULT'] ?? 'interrupted',
    said: exported['SLUICE_REASON'],
    failure: failureOf(build.phases ?? []),
    timeoutSeconds: specOf(build)?.timeoutSeconds,
  };
  return { status: endStatus(told), reason: buildReason(told), ...end };
}

/** A build that was stopped or has failed is not over before CodeBuild has put it away: its phases and variables may lack. */
export function hasEnded({ buildComplete, buildStatus }: Build): boolean {
  return buildComplete ?? (buildStatus !== undefined && buildStatus !== 'IN_PROGRESS');
}

/** What of its spec is needed here; undefined for a build that is not ours. */
export function specOf(build: Build): { readonly buildId: string; readonly timeoutSeconds?: number } | undefined {
  const variables = build.environment?.environmentVariables ?? [];
  return parseSpec(variables.find(({ name }) => name === specVariable)?.value);
}

export function parseSpec(json: string | undefined): ReturnType<typeof specOf> {
  try {
    const spec = JSON.parse(json ?? '') as { readonly buildId?: unknown; readonly timeoutSeconds?: unknown } | null;
    if (typeof spec?.buildId !== 'string') return undefined;
    const { buildId, timeoutSeconds } = spec;
    return { buildId, ...(typeof timeoutSeconds === 'number' ? { timeoutSeconds } : {}) };
  } catch {
    return undefined;
  }
}

/** `FAULT` is CodeBuild's own failing: the build had a machine no more. */
const endedStatuses: Readonly<Record<string, BuildEnd['status']>> = {
  FAILED: 'failed',
  FAULT: 'interrupted',
  TIMED_OUT: 'timed_out',
  STOPPED: 'stopped',
};

function exportedOf(build: Build): Readonly<Record<string, string>> {
  const variables = (build.exportedEnvironmentVariables ?? []).filter(({ name, value }) => name && value);
  return Object.fromEntries(variables.map(({ name = '', value = '' }) => [name, value]));
}

function phasesOf(build: Build): readonly PhaseTime[] {
  const own = (build.phases ?? []).filter(({ phaseType }) => ownPhases.has(phaseType ?? ''));
  return own.map(({ phaseType = '', durationInSeconds = 0 }) => ({
    name: phaseType.toLowerCase(),
    seconds: durationInSeconds,
  }));
}

/** The first phase that went wrong: those after it fail because of it. */
function failureOf(phases: readonly BuildPhase[]): BuildEnd['failure'] {
  const bad = phases.find(({ phaseStatus }) => phaseStatus && !fineStatuses.has(phaseStatus));
  if (!bad) return undefined;
  const words = (bad.contexts ?? []).map(({ message }) => message?.trim()).find(Boolean);
  return { phase: (bad.phaseType ?? '').toLowerCase(), words: words ?? `it ended as ${bad.phaseStatus}` };
}

const fineStatuses: ReadonlySet<string> = new Set(['SUCCEEDED', 'IN_PROGRESS']);
