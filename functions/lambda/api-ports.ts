import { v7 } from 'uuid';
import type { ApiOptions, Credentials } from '../api/options.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { lazily } from './lazily.ts';
import { basePorts, type Wired } from './wire.ts';

/** What the API asks. A webhook needs the records, the workflow and the secrets that are its own; the rest is loaded when it is asked. */
export function apiPorts(wired: Wired): ApiPorts {
  const { place, policy } = wired;
  return {
    ...basePorts(wired),
    newId: v7,
    policy,
    workflow: lazily<ApiPorts['workflow']>({ start: true, fail: true, resume: true, ready: true }, async () =>
      (await import('../aws/open/api-workflow.ts')).openApiWorkflow(place),
    ),
    jobs: lazily<ApiPorts['jobs']>({ start: true }, async () =>
      (await import('../aws/open/job-starts.ts')).openJobStarts(place),
    ),
    objects: lazily<ApiPorts['objects']>(
      {
        ready: true,
        find: true,
        read: true,
        put: true,
        receive: true,
        openUpload: true,
        abandonUpload: true,
        downloadUrl: true,
      },
      async () => (await import('../aws/open/api-objects.ts')).openApiObjects(place),
    ),
    secrets: lazily<ApiPorts['secrets']>({ write: true, list: true, remove: true, ready: true }, async () =>
      (await import('../aws/open/secret-writes.ts')).openSecretWrites(place),
    ),
    builder: lazily<ApiPorts['builder']>({ stop: true, logs: true, ready: true }, async () =>
      (await import('../aws/open/api-builder.ts')).openApiBuilder(place),
    ),
    fleet: lazily<ApiPorts['fleet']>({ view: true, scale: true, retire: true, logs: true, ready: true }, async () =>
      (await import('../aws/open/api-fleet.ts')).openApiFleet(place),
    ),
  };
}

/** Both are asked for at once, and each is kept for a minute. */
export function ownCredentials({ place }: Wired): ApiOptions['credentials'] {
  const own = lazily<Own>({ adminTokens: true, webhookSecrets: true }, async () =>
    (await import('../aws/open/own-secrets.ts')).openOwnSecrets(place),
  );
  return async () => {
    const [adminTokens, webhookSecrets] = await Promise.all([own.adminTokens(), own.webhookSecrets()]);
    return { adminTokens, webhookSecrets };
  };
}
type Own = { readonly [Name in keyof Credentials]: () => Promise<Credentials[Name]> };
