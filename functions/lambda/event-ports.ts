import type { EventPorts } from '../ports/ports.ts';
import { lazily } from './lazily.ts';
import { basePorts, type Wired } from './wire.ts';

export function eventPorts(wired: Wired): EventPorts {
  return {
    ...basePorts(wired),
    workflow: lazily<EventPorts['workflow']>({ start: true, isRunning: true, resume: true }, async () =>
      (await import('../aws/open/event-workflow.ts')).openEventWorkflow(wired.place),
    ),
  };
}
