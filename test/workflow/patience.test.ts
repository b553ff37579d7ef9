import { describe, expect, it } from 'vitest';
import { bakeWaitSeconds, patience } from '../../functions/workflow/patience.ts';

const day = 86_400;
/** Of `Observe`, `IsRolled` and `AwaitChange`: entered, scheduled, started, submitted, ended and exited. */
const eventsOfLook = 5 + 2 + 6;
const eventsOfBakeLook = 5 + 2 + 2;
/** What an execution may have: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html */
const maxHistory = 25_000;

/** How many looks a rollout takes; `noisy`: its tasks come and go all the time, and a look takes 3 s. */
function looks(targets: number, seconds: number, noisy: boolean): number {
  let count = 0;
  for (let at = 0; at < seconds; count += 1) {
    const { quietSeconds, waitSeconds } = patience({ elapsedSeconds: at, targets });
    at += noisy ? Math.max(3, quietSeconds) : waitSeconds;
  }
  return count;
}

describe('the patience with a rollout', () => {
  it('keeps the history of an execution below its limit for any number of targets, for a day, with any noise', () => {
    for (let targets = 1; targets <= 40; targets += 1)
      for (const seconds of [900, 3600, day])
        for (const noisy of [false, true])
          expect(looks(targets, seconds, noisy) * eventsOfLook * targets, `${targets} for ${seconds} s`).toBeLessThan(
            maxHistory - 4000,
          );
  });

  it('lets every event wake who waits for a quick rollout', () => {
    expect(patience({ elapsedSeconds: 0, targets: 1 })).toEqual({ quietSeconds: 0, waitSeconds: 30 });
    expect(patience({ elapsedSeconds: 300, targets: 3 })).toEqual({ quietSeconds: 0, waitSeconds: 30 });
  });

  it('looks at a slow one after a fiftieth of its time, and at many more seldom', () => {
    expect(patience({ elapsedSeconds: 3600, targets: 2 })).toEqual({ quietSeconds: 72, waitSeconds: 72 });
    expect(patience({ elapsedSeconds: 3600, targets: 12 })).toEqual({ quietSeconds: 360, waitSeconds: 360 });
  });
});

describe('the wait in the bake time', () => {
  it('begins with a second, and a day of it stays below the limit of the history', () => {
    let count = 0;
    for (let at = 0; at < day; count += 1) at += bakeWaitSeconds({ elapsedSeconds: at, leftSeconds: day - at });
    expect(bakeWaitSeconds({ elapsedSeconds: 0, leftSeconds: 60 })).toBe(1);
    expect(count * eventsOfBakeLook).toBeLessThan(6000);
  });

  it('is over with the bake time, and is whole seconds of at least one', () => {
    expect(bakeWaitSeconds({ elapsedSeconds: 3590, leftSeconds: 10 })).toBe(10);
    expect(bakeWaitSeconds({ elapsedSeconds: 0.5, leftSeconds: 0.2 })).toBe(1);
  });
});
