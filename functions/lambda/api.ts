import { randomBytes } from 'node:crypto';
import { createApi } from '../api/app.ts';
import { fetchJson } from '../runtime/fetch-json.ts';
import { readEnvironment } from './environment.ts';
import { httpHandler, sourceAddress } from './http.ts';
import { apiPorts, ownCredentials } from './api-ports.ts';
import { wire } from './wire.ts';

/** The HTTP interface. API Gateway waits for 30 s, and whoever follows something is answered within 20. */
const environment = readEnvironment();
const wired = wire(environment);

export const handler = httpHandler(
  createApi({
    ports: apiPorts(wired),
    credentials: ownCredentials(wired),
    version: environment.version,
    metrics: wired.metrics,
    fetchJson,
    addressOf: sourceAddress,
    randomBytes: (count) => randomBytes(count),
    https: true,
    followEveryMs: 1000,
  }),
);
