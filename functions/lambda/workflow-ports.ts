import { v7 } from 'uuid';
import type { WorkflowPorts } from '../ports/ports.ts';
import { lazily } from './lazily.ts';
import { basePorts, type Wired } from './wire.ts';

export function workflowPorts(wired: Wired): WorkflowPorts {
  const { place, policy } = wired;
  return {
    ...basePorts(wired),
    newId: v7,
    policy,
    workflow: lazily<WorkflowPorts['workflow']>({ start: true, resume: true, fail: true }, async () =>
      (await import('../aws/open/step-workflow.ts')).openStepWorkflow(place),
    ),
    jobs: lazily<WorkflowPorts['jobs']>({ start: true }, async () =>
      (await import('../aws/open/job-starts.ts')).openJobStarts(place),
    ),
    objects: lazily<WorkflowPorts['objects']>(
      { put: true, find: true, read: true, remove: true, list: true, finishUpload: true, abandonUpload: true },
      async () => (await import('../aws/open/step-objects.ts')).openStepObjects(place),
    ),
    secrets: lazily<WorkflowPorts['secrets']>({ findVersion: true, read: true }, async () =>
      (await import('../aws/open/step-secrets.ts')).openStepSecrets(place),
    ),
    // Loaded when a hook is called: nothing else needs a list of the world's addresses.
    send: async (request) => await (await import('../runtime/send.ts')).sender(policy.fetch)(request),
    builder: lazily<WorkflowPorts['builder']>({ stop: true }, async () =>
      (await import('../aws/open/build-stops.ts')).openBuildStops(place),
    ),
    fleet: lazily<WorkflowPorts['fleet']>(
      { view: true, refuses: true, startRollout: true, observeRollout: true, revertRollout: true, discard: true },
      async () => (await import('../aws/open/workflow-fleet.ts')).openWorkflowFleet(place),
    ),
  };
}
