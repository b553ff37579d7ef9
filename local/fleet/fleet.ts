import { join } from 'node:path';
import type { Artifact } from '../../functions/artifacts/artifact.ts';
import type { LogPage } from '../../functions/ports/builder.ts';
import type { Fleet, Revision, RolloutInput, TargetRef } from '../../functions/ports/fleet.ts';
import type { Objects } from '../../functions/ports/objects.ts';
import type { Secrets } from '../../functions/ports/secrets.ts';
import { messageOf, Problem } from '../../functions/runtime/errors.ts';
import type { Log } from '../../functions/runtime/log.ts';
import type { EpochMs } from '../../functions/runtime/units.ts';
import { diskProblem, makeFolders } from '../durable.ts';
import type { Engine, EngineEnvironment } from '../engine.ts';
import { controller, type Controller } from './controller.ts';
import type { Launch } from './crew.ts';
import { defaultBackoff, type Backoff } from './failures.ts';
import { ingress } from './ingress.ts';
import { listen, listenFailure, type Listener } from './listener.ts';
import { stuckIssue } from './plan.ts';
import type { RunningTask, TaskRunner } from './runner.ts';
import { keyOf, stateFiles, targetKey } from './state-file.ts';
import { containerRunner } from './task-container.ts';
import { taskLog, type TaskLog } from './task-log.ts';
import { processRunner } from './task-process.ts';
import { desiredWith, knowsRollout, newTarget, type Setting, type TargetState } from './target-state.ts';

export type LocalFleetOptions = {
  /** The data folder. */
  readonly data: string;
  /** Tells this data folder's processes and containers from those of another; printable, no blanks. */
  readonly dataId: string;
  /** Runs images; without it they are refused. */
  readonly engine: Engine | undefined;
  /** What the engine's client runs with. */
  readonly engineEnvironment: EngineEnvironment;
  /** PATH, HOME and LANG of tasks that are processes; nothing else of this process's environment reaches them. */
  readonly taskEnvironment: Readonly<Record<string, string>>;
  readonly objects: Objects;
  readonly secrets: Secrets;
  readonly clock: () => EpochMs;
  readonly newId: () => string;
  readonly log: Log;
  /** Called with a rollout's id after its observation's marker has changed. */
  readonly onChange?: (rolloutId: string) => void;
  /** The address targets listen on; default 127.0.0.1. */
  readonly host?: string;
  /** One port that leads to targets by their domains. */
  readonly ingressPort?: number;
  /** How long a request waits for a task; default 5 s. */
  readonly waitMs?: number;
  readonly backoff?: Backoff;
};

export type LocalFleet = Fleet & {
  /** Ends what a run before left behind and brings every target back to its revision; call it once, before all else. */
  recover(): Promise<void>;
  /** Stops accepting, drains and stops every task; `recover` of a later run goes on from there. */
  close(): Promise<void>;
};

/**
 * The fleet of this machine: tasks as processes (bundles) or containers (images) behind a draining proxy on each
 * target's `listenPort`.
 *
 * What an app says of `desiredCount`, `listenPort`, domains and policy takes effect with the next rollout, and goes when
 * that is reverted. A scale by hand outlives deployments until the app's own number is changed.
 */
export function localFleet(options: LocalFleetOptions): LocalFleet {
  const { log } = options;
  const folder = join(options.data, 'fleet');
  const files = stateFiles(folder);
  const processes = processRunner({ ...options, environment: options.taskEnvironment });
  const containers = options.engine
    ? containerRunner({ ...options, engine: options.engine, environment: options.engineEnvironment })
    : undefined;
  const targets = new Map<string, Controller>();
  const logs = new Map<string, TaskLog>();
  let door: Listener | undefined;
  let closed = false;

  const runnerOf = (artifact: Artifact): TaskRunner | undefined =>
    artifact.kind === 'bundle' ? processes : containers;
  const logOf = (key: string) => {
    const known = logs.get(key) ?? taskLog(join(folder, 'logs'), key);
    logs.set(key, known);
    return known;
  };
  const launch = async (state: TargetState, order: Launch): Promise<RunningTask> => {
    const { revision } = order.setting;
    const runner = runnerOf(revision.artifact);
    if (!runner) throw new Problem('unsupported', noEngine);
    const secrets = await resolveSecrets(options.secrets, revision);
    const output = logOf(targetKey(state));
    // A full disk must not stop a task from printing: it would hang on its full pipe.
    const lost = (error: unknown) => log.warn('a line of a task could not be kept', { reason: messageOf(error) });
    const write = (text: string) => output.append({ at: options.clock(), phase: order.taskId, text }).catch(lost);
    return runner.start({ ...order, app: state.app, target: state.target, revision, secrets, write });
  };
  const add = (state: TargetState): Controller => {
    const key = targetKey(state);
    const made = controller({
      state,
      files,
      launch: (order) => launch(state, order),
      clock: options.clock,
      newId: options.newId,
      log: log.with({ app: state.app, environment: state.environment, target: state.target }),
      onChange: options.onChange ?? (() => {}),
      host: options.host ?? '127.0.0.1',
      backoff: options.backoff ?? defaultBackoff,
      waitMs: options.waitMs ?? 5000,
    });
    targets.set(key, made);
    return made;
  };
  const find = (ref: TargetRef) => targets.get(keyOf(ref));
  const findOrAdd = (ref: TargetRef): Controller => {
    if (closed) throw new Problem('busy', 'the fleet is shutting down');
    const { app, environment, target } = ref;
    return find(ref) ?? add(newTarget({ app, environment, target: target.name }));
  };
  const refuses = async (artifact: Artifact) => {
    const runner = runnerOf(artifact);
    return runner ? runner.refuses(artifact) : noEngine;
  };
  /** Targets in the order of their names: the first one with a domain has it. */
  const withDomain = (domain: string) =>
    [...targets.values()]
      .filter((target) => domainsOf(target.state()).includes(domain))
      .sort((a, b) => (targetKey(a.state()) < targetKey(b.state()) ? -1 : 1))[0]?.proxy;

  return {
    refuses,
    view: async (ref) => find(ref)?.view() ?? nothing,
    startRollout: async (ref, input) => {
      if (knows(find(ref), input.id)) return;
      await check(input, refuses);
      const target = findOrAdd(ref);
      if (knows(target, input.id)) return;
      const stuck = stuckIssue(desiredWith(target.state(), ref.target.desiredCount), input.policy);
      if (stuck)
        throw new Problem('invalid', `rollout: expected ${stuck}`, { issues: [{ field: 'rollout', expected: stuck }] });
      await target.begin(settingOf(ref, input)).catch(diskFull);
    },
    observeRollout: async (ref, rolloutId) => {
      const observation = find(ref)?.observe(rolloutId);
      if (!observation) throw new Problem('not-found', `target ${ref.target.name} has no rollout ${rolloutId}`);
      return observation;
    },
    revertRollout: async (ref, rolloutId, reason) => {
      await findOrAdd(ref).undo(rolloutId, reason).catch(diskFull);
    },
    scale: async (ref, desiredCount) => {
      const expected = 'a whole number from 0 to 1000';
      const isCount = Number.isInteger(desiredCount) && desiredCount >= 0 && desiredCount <= 1000;
      if (!isCount)
        throw new Problem('invalid', `desiredCount must be ${expected}`, {
          issues: [{ field: 'desiredCount', expected }],
        });
      const target = find(ref);
      if (!target?.view().revision && !target?.state().active)
        throw new Problem('not-found', `nothing runs on target ${ref.target.name}`);
      await target.scale(desiredCount).catch(diskFull);
    },
    retire: async (ref) => {
      const key = keyOf(ref);
      const target = targets.get(key);
      if (!target) return;
      await target.retire();
      await logOf(key).remove();
      if (targets.get(key) === target) targets.delete(key);
    },
    logs: async (ref, query): Promise<LogPage> => {
      const target = find(ref);
      const page = await logOf(keyOf(ref)).read(query);
      return { ...page, done: !target || (target.view().tasks.length === 0 && page.lines.length === 0) };
    },
    discard: async (artifact) => {
      // The blobs of what was uploaded and never came here are Objects'.
      if (artifact.kind !== 'image' || artifact.reference === '') return;
      if (!containers) throw new Problem('unsupported', noEngine);
      await containers.discard(artifact);
    },
    ready: async () => {
      if (closed) throw new Error('the fleet is shutting down');
      await makeFolders(folder);
    },
    recover: async () => {
      await Promise.all([processes.sweep(), containers?.sweep()]);
      const states = await files.load();
      for (const state of states.filter((state) => state.retired)) {
        await files.remove(state);
        await logOf(targetKey(state)).remove();
      }
      const kept = states.filter((state) => !state.retired);
      await processes.bundles.keepOnly(new Set(kept.flatMap(bundlesOf)));
      for (const state of kept) add(state).resume();
      if (options.ingressPort === undefined) return;
      const address = { port: options.ingressPort, host: options.host ?? '127.0.0.1' };
      door = await listen(address, ingress(withDomain)).catch((error: unknown) => {
        throw new Problem('busy', `ingress: ${listenFailure(address.port, error)}`, { cause: error });
      });
    },
    close: async () => {
      closed = true;
      const doorClosed = door?.close();
      await Promise.all([...targets.values()].map((target) => target.close()));
      door?.cut();
      await doorClosed;
      await Promise.all([...logs.values()].map((log) => log.close()));
    },
  };
}

const noEngine = 'images need Docker or Podman, and none is used here (SLUICE_ENGINE)';
const nothing = { revision: undefined, desiredCount: 0, tasks: [], failures: 0, lastFailure: undefined } as const;

const knows = (target: Controller | undefined, rolloutId: string) =>
  target !== undefined && knowsRollout(target.state(), rolloutId);

async function check(input: RolloutInput, refuses: Fleet['refuses']): Promise<void> {
  const { artifact, command } = input.revision;
  const refusal = await refuses(artifact);
  if (refusal !== undefined) throw new Problem('unsupported', refusal);
  if (artifact.kind === 'image' || command?.length) return;
  const expected = 'the command that starts the bundle';
  throw new Problem('invalid', `runtime.command: expected ${expected}`, {
    issues: [{ field: 'runtime.command', expected }],
  });
}

function settingOf(ref: TargetRef, input: RolloutInput): Setting {
  const { listenPort, desiredCount } = ref.target;
  return {
    rolloutId: input.id,
    revision: input.revision,
    policy: input.policy,
    ...(listenPort !== undefined && { listenPort }),
    domains: ref.domains.map((domain) => domain.toLowerCase()),
    appDesiredCount: desiredCount,
  };
}

async function resolveSecrets(secrets: Secrets, revision: Revision): Promise<Record<string, string>> {
  const entries = Object.entries(revision.secrets).map(async ([variable, { name, version }]) => {
    return [variable, (await secrets.read(name, version)).value] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

function domainsOf(state: TargetState): readonly string[] {
  return [...(state.stable?.domains ?? []), ...(state.active?.setting.domains ?? [])];
}

function bundlesOf(state: TargetState): string[] {
  const settings = [state.stable, state.active?.setting].filter((setting) => setting !== undefined);
  return settings.map(({ revision }) => revision.artifact.digest);
}

function diskFull(error: unknown): never {
  throw diskProblem(error, 'The state of the target cannot be written');
}
