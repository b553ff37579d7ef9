import type { Fleet, Revision, RolloutInput, RolloutObservation, TargetRef } from '../../functions/ports/fleet.ts';
import { Problem } from '../../functions/runtime/errors.ts';

type Rollout = { input: RolloutInput | undefined; before: Revision | undefined; observation: RolloutObservation };
type Place = { revision: Revision | undefined; rollouts: Map<string, Rollout>; failures: number; desired: number };

/** What a script wants of a rollout: how it ends, or nothing: then it stays in progress. */
export type FleetScript = (
  ref: TargetRef,
  input: RolloutInput,
) => { ends: 'succeeded' | 'failed' | 'never'; reason?: string };

/**
 * A fleet that does as a test says, in no time and with no task: what is tested with it is who calls it, when, and
 * what they make of its answers. The real fleets have a contract suite of their own.
 */
export function scriptedFleet(options: { script: () => FleetScript; onChange: (rolloutId: string) => void }) {
  const places = new Map<string, Place>();
  const calls: string[] = [];
  const placeOf = (ref: TargetRef): Place => {
    const key = `${ref.app}/${ref.environment}/${ref.target.name}`;
    const place = places.get(key) ?? {
      revision: undefined,
      rollouts: new Map(),
      failures: 0,
      desired: ref.target.desiredCount,
    };
    places.set(key, place);
    return place;
  };
  const become = (
    place: Place,
    id: string,
    { status, reason = '' }: { status: RolloutObservation['status']; reason?: string | undefined },
  ) => {
    const rollout = place.rollouts.get(id);
    if (!rollout || rollout.observation.status === 'reverted') return;
    const isNew = status === 'succeeded';
    const counts = {
      desired: place.desired,
      newServing: isNew ? place.desired : 0,
      newStarting: 0,
      oldServing: isNew ? 0 : place.desired,
      draining: 0,
      failed: status === 'failed' ? 3 : 0,
    };
    rollout.observation = { status, reason, counts, marker: `${status}/${reason}` };
    if (status === 'succeeded') place.revision = rollout.input?.revision;
    if (status === 'reverted') place.revision = rollout.before;
    queueMicrotask(() => options.onChange(id));
  };

  const fleet: Fleet = {
    async refuses() {
      return undefined;
    },
    async view(ref) {
      const place = placeOf(ref);
      const lastFailure = place.failures > 0 ? { at: 1, reason: 'task exited with code 1' } : undefined;
      return {
        revision: place.revision,
        desiredCount: place.desired,
        tasks: [],
        failures: place.failures,
        lastFailure,
      };
    },
    async startRollout(ref, input) {
      const place = placeOf(ref);
      if (place.rollouts.has(input.id)) return;
      calls.push(`start ${ref.target.name} ${input.revision.artifact.digest.slice(-1)}`);
      const observation = { status: 'in_progress', reason: '', marker: 'started', counts: noCounts } as const;
      place.rollouts.set(input.id, { input, before: place.revision, observation });
      const { ends, reason } = options.script()(ref, input);
      if (ends !== 'never') setImmediate(() => become(place, input.id, { status: ends, reason }));
    },
    async observeRollout(ref, id) {
      const rollout = placeOf(ref).rollouts.get(id);
      if (!rollout) throw new Problem('not-found', `There is no rollout ${id}`);
      return rollout.observation;
    },
    async revertRollout(ref, id, reason) {
      const place = placeOf(ref);
      const rollout = place.rollouts.get(id);
      if (!rollout) {
        const observation = { status: 'reverted', reason, marker: 'reverted', counts: noCounts } as const;
        place.rollouts.set(id, { input: undefined, before: place.revision, observation });
      }
      if (!rollout || rollout.observation.status === 'reverted') return;
      calls.push(`revert ${ref.target.name}`);
      setImmediate(() => become(place, id, { status: 'reverted', reason }));
    },
    async scale(ref, desiredCount) {
      placeOf(ref).desired = desiredCount;
    },
    async retire(ref) {
      places.delete(`${ref.app}/${ref.environment}/${ref.target.name}`);
    },
    async logs() {
      return { lines: [], next: '0', done: false };
    },
    async discard({ digest }) {
      calls.push(`discard ${digest.slice(-1)}`);
    },
    async ready() {},
  };
  /** A task of every target fails from now on. */
  const failTasks = () => {
    for (const place of places.values()) place.failures += 1;
  };
  /** Every rollout that would stay in progress comes to its end. */
  const release = () => {
    for (const place of places.values()) {
      for (const [id, { observation }] of place.rollouts) {
        if (observation.status === 'in_progress') become(place, id, { status: 'succeeded' });
      }
    }
  };
  return { fleet, calls, places, failTasks, release };
}

const noCounts = { desired: 0, newServing: 0, newStarting: 0, oldServing: 0, draining: 0, failed: 0 };
