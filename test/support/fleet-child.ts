/**
 * A fleet in a process of its own, to be killed: `node fleet-child.ts <data> <rollouts as JSON>`. Recovers, then begins
 * the rollouts one after the other, each when the one before has ended, and prints a line for each that began or ended.
 */
import type { RolloutInput, TargetRef } from '../../functions/ports/fleet.ts';
import { ended } from './fleet.ts';
import { makeFleet } from './local-fleet.ts';

const [data = '', work = '[]'] = process.argv.slice(2);
const { fleet } = await makeFleet({ data });
await fleet.recover();
console.log('recovered');
for (const { ref, rollout } of JSON.parse(work) as { ref: TargetRef; rollout: RolloutInput }[]) {
  await fleet.startRollout(ref, rollout);
  console.log(`began ${rollout.id}`);
  const { status } = await ended(fleet, ref, rollout.id);
  console.log(`${status} ${rollout.id}`);
}
