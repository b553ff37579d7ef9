import { v7 } from 'uuid';
import type { WorkflowPorts } from '../ports/ports.ts';
import { lazily } from './lazily.ts';
import { basePorts, policy, type Wired } from './wire.ts';

export function workflowPorts(wired: Wired): WorkflowPorts {
  const { place } = wired;
  return {
    ...basePorts(wired),
    newId: v7,
    policy,
    workflow: lazily<WorkflowPorts['workflow']>({ start: true, resume: true, fail: true }, async () =>
      (await import('../aws/open/step-workflow.ts')).openStepWorkflow(place),
    ),
    secrets: lazily<WorkflowPorts['secrets']>({ findVersion: true }, async () =>
      (await import('../aws/open/secret-versions.ts')).openSecretVersions(place),
    ),
    builder: lazily<WorkflowPorts['builder']>({ stop: true }, async () =>
      (await import('../aws/open/build-stops.ts')).openBuildStops(place),
    ),
    fleet: lazily<WorkflowPorts['fleet']>(
      { view: true, refuses: true, startRollout: true, observeRollout: true, revertRollout: true, discard: true },
      async () => (await import('../aws/open/workflow-fleet.ts')).openWorkflowFleet(place),
    ),
  };
}
