import { readEnvironment } from './environment.ts';
import { workflowPorts } from './workflow-ports.ts';
import { wire } from './wire.ts';
import { stepHandler } from './step-handler.ts';

/** The steps of `deploy.asl.json`. */
export const handler = stepHandler(workflowPorts(wire(readEnvironment())));
