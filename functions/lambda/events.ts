import { readEnvironment } from './environment.ts';
import { eventHandler } from './event-handler.ts';
import { eventPorts } from './event-ports.ts';
import { wire } from './wire.ts';

/** What EventBridge tells of: it wakes whoever waits for it. */
const environment = readEnvironment();

export const handler = eventHandler(eventPorts(wire(environment)), environment);
