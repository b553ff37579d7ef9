import type { IncomingMessage } from 'node:http';
import * as v from 'valibot';
import { nameSchema } from '../../functions/apps/schema.ts';

/** One of the three endpoints of the smart protocol. https://git-scm.com/docs/http-protocol */
export type Route = {
  readonly app: string;
  readonly service: 'git-upload-pack' | 'git-receive-pack';
  readonly endpoint: 'info/refs' | 'git-upload-pack' | 'git-receive-pack';
};

export type Refusal = {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
};

const pathForm = /^\/git\/(?<app>[^/]+?)(?:\.git)?\/(?<endpoint>info\/refs|git-upload-pack|git-receive-pack)$/;
const services = ['git-upload-pack', 'git-receive-pack'] as const;

/** What a request wants of which app; the files of a repository are not to be had (the "dumb" protocol). */
export function routeOf(request: Pick<IncomingMessage, 'method' | 'url'>): Route | Refusal {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const { app = '', endpoint } = pathForm.exec(path)?.groups ?? {};
  if (endpoint === undefined || !v.is(nameSchema, app)) {
    return { status: 404, text: 'The Git remote of an app is /git/<app>.git' };
  }
  const isDiscovery = endpoint === 'info/refs';
  const method = isDiscovery ? 'GET' : 'POST';
  if (request.method !== method) {
    return { status: 405, text: `Only ${method} is possible here.`, headers: { allow: method } };
  }
  const wanted = isDiscovery ? new URLSearchParams(query).get('service') : endpoint;
  const service = services.find((service) => service === wanted);
  if (!service) return { status: 403, text: 'Only the smart protocol is served: use Git 1.6.6 or newer.' };
  return { app, service, endpoint: isDiscovery ? 'info/refs' : service };
}
