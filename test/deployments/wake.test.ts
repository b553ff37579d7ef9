import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rememberWaiter, wakeRollout } from '../../functions/deployments/wake.ts';
import { openTestRecords } from '../support/records.ts';

let now = Date.parse('2026-11-20T12:00:00Z');
let stores: Awaited<ReturnType<typeof openTestRecords>>;
const answered: string[] = [];
const ports = () => ({
  records: stores.records,
  clock: () => now,
  workflow: { resume: async (token: string) => answered.push(token) > 0 },
});
beforeEach(async () => {
  answered.length = 0;
  stores = await openTestRecords({ clock: () => now });
});
afterEach(async () => await stores.close());

describe('who waits for a rollout', () => {
  it('is woken by news, and the newest waiter alone', async () => {
    await rememberWaiter(ports(), 'd.web', { token: 'one' });
    await rememberWaiter(ports(), 'd.web', { token: 'two' });
    await wakeRollout(ports(), 'd.web');
    await wakeRollout(ports(), 'd.api');
    expect(answered).toEqual(['two']);
  });

  it('is left alone by news while it wants quiet, and not by a person', async () => {
    await rememberWaiter(ports(), 'd.web', { token: 'one', quietUntil: now + 60_000 });
    now += 59_999;
    await wakeRollout(ports(), 'd.web');
    expect(answered).toEqual([]);
    await wakeRollout(ports(), 'd.web', { atOnce: true });
    now += 1;
    await wakeRollout(ports(), 'd.web');
    expect(answered).toEqual(['one', 'one']);
  });

  it('is forgotten after two days: a token is a credential, and the table does not grow for ever', async () => {
    await rememberWaiter(ports(), 'd.web', { token: 'one' });
    now += 2 * 24 * 3_600_000 + 1000;
    await wakeRollout(ports(), 'd.web');
    expect(answered).toEqual([]);
  });
});
