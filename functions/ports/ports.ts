import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { EpochMs } from '../runtime/units.ts';
import type { Builder } from './builder.ts';
import type { Fleet } from './fleet.ts';
import type { Objects } from './objects.ts';
import type { Records } from './records.ts';
import type { Secrets } from './secrets.ts';
import type { Workflow } from './workflow.ts';

/** What a cloud allows that the domain must ask for and not decide. */
export type Policy = {
  /** Where `repoUrl` may point besides public hosts over https and ssh. */
  readonly source: {
    readonly allowFile: boolean;
    /** The base URL of the Git remote this control plane serves itself, `http://127.0.0.1:4600/git/`. */
    readonly ownRemote: string | undefined;
  };
  readonly fetch: { readonly allowPrivateHosts: boolean; readonly maxBytes: number };
  /** Whether a target must name its service: where services are made by others, as on AWS. */
  readonly targets?: { readonly needService: boolean };
  /** How long a build's spec may be, as bytes of JSON; left out: as long as an app makes it. */
  readonly builds?: { readonly mostSpecBytes: number };
  readonly limits: Limits;
  /** Whose OpenID Connect tokens may be exchanged for tokens of ours, and for whom they must be made. */
  readonly oidc: { readonly issuer: string; readonly audience: string };
};

/** What is over one of these is refused in words, and nothing of it is kept. */
export type Limits = {
  /** Of one object, of a build's objects together, and how many it may have. */
  readonly objectBytes: number;
  readonly buildBytes: number;
  readonly buildObjects: number;
  /** Of all that an app's builds hold. */
  readonly appBytes: number;
  /** Of each token. */
  readonly requestsPerMinute: number;
};

/** A POST to somewhere outside. */
export type OutgoingRequest = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly timeoutSeconds: number;
};

/** The six ports and what else comes from outside; wired once in an entry point. */
export type Ports = {
  readonly records: Records;
  readonly objects: Objects;
  readonly secrets: Secrets;
  readonly builder: Builder;
  readonly fleet: Fleet;
  readonly workflow: Workflow;
  /** The same port running `functions/workflow/job.asl.json`: its ids are those of jobs, as decimal text. */
  readonly jobs: Workflow;
  /** Calls a URL that an app names, once and without redirects; throws when there is no answer, or the host is refused. */
  readonly send: (request: OutgoingRequest) => Promise<{ readonly status: number }>;
  readonly clock: () => EpochMs;
  /** A new id: time-ordered, unique (UUID version 7). */
  readonly newId: () => string;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'deploymentEnded' | 'buildEnded'>;
  readonly policy: Policy;
};

/**
 * What each entry point may ask of the ports, and so what its role on AWS must grant: the API starts no rollout and
 * reads no secret's value, the steps write no secret, what only wakes touches neither fleet nor secrets.
 */
export type ApiPorts = Pick<Ports, 'records' | 'clock' | 'newId' | 'log' | 'metrics' | 'policy'> & {
  readonly workflow: Pick<Ports['workflow'], 'start' | 'fail' | 'resume' | 'ready'>;
  readonly jobs: Pick<Ports['jobs'], 'start'>;
  readonly objects: Pick<
    Ports['objects'],
    'ready' | 'find' | 'read' | 'put' | 'receive' | 'openUpload' | 'abandonUpload' | 'downloadUrl'
  >;
  readonly secrets: Pick<Ports['secrets'], 'write' | 'list' | 'remove' | 'ready'>;
  readonly builder: Pick<Ports['builder'], 'stop' | 'logs' | 'ready'>;
  readonly fleet: Pick<Ports['fleet'], 'view' | 'scale' | 'retire' | 'logs' | 'ready'>;
};
/** What the one that looks every minute may ask: it begins workflows anew, stops builds, and ends what was to be retired. */
export type ReconcilePorts = Pick<Ports, 'records' | 'clock' | 'log' | 'metrics'> & {
  readonly workflow: Omit<Ports['workflow'], 'ready'>;
  readonly jobs: Pick<Ports['jobs'], 'start' | 'isRunning'>;
  readonly secrets: Pick<Ports['secrets'], 'list' | 'remove'>;
  readonly builder: Pick<Ports['builder'], 'stop'>;
  readonly fleet: Pick<Ports['fleet'], 'view' | 'retire'>;
};
/** What an event may lead to: whoever waits is answered, or a workflow begun anew. */
export type EventPorts = Pick<Ports, 'records' | 'clock' | 'log' | 'metrics'> & {
  readonly workflow: Pick<Ports['workflow'], 'start' | 'isRunning' | 'resume'>;
};
export type WorkflowPorts = Pick<Ports, 'records' | 'clock' | 'newId' | 'log' | 'metrics' | 'policy'> & {
  readonly workflow: Pick<Ports['workflow'], 'start' | 'resume' | 'fail'>;
  readonly jobs: Pick<Ports['jobs'], 'start'>;
  readonly objects: Omit<Ports['objects'], 'ready' | 'openUpload' | 'receive' | 'downloadUrl' | 'uploadUrl'>;
  readonly secrets: Pick<Ports['secrets'], 'findVersion' | 'read'>;
  readonly send: Ports['send'];
  readonly builder: Pick<Ports['builder'], 'stop'>;
  readonly fleet: Pick<
    Ports['fleet'],
    'view' | 'refuses' | 'startRollout' | 'observeRollout' | 'revertRollout' | 'discard'
  >;
};
