import { afterAll, describe, expect, it } from 'vitest';
import { claimPlaces, releasePlaces, type Place } from '../../functions/apps/claims.ts';
import { openTestRecords } from '../support/records.ts';

const { records, close } = await openTestRecords();
afterAll(close);

const place = (value: string): Place => ({ kind: 'port', value, field: 'x' });
const claiming = (uses: boolean, now = 0) => ({ records, now, uses: async () => uses });
const claimedBy = async (value: string) =>
  (await records.find<{ app: string }>({ partition: `port/${value}`, sort: 'port' }))?.value.app;

describe('claims', () => {
  it('stay with an app that names the place, whoever wants to give it back', async () => {
    await claimPlaces(claiming(false), 'web', [place('1')]);
    await releasePlaces(claiming(true), 'web', [place('1')]);
    expect(await claimedBy('1')).toBe('web');
    await releasePlaces(claiming(false), 'api', [place('1')]);
    expect(await claimedBy('1')).toBe('web');
    await releasePlaces(claiming(false), 'web', [place('1')]);
    expect(await claimedBy('1')).toBeUndefined();
  });

  it('stay when they are claimed anew while being given back', async () => {
    await claimPlaces(claiming(false), 'web', [place('2')]);
    const uses = async () => {
      await claimPlaces(claiming(false), 'web', [place('2')]);
      return false;
    };
    await releasePlaces({ records, uses }, 'web', [place('2')]);
    expect(await claimedBy('2')).toBe('web');
  });

  it('are taken over when they were left behind, and not while their app names the place', async () => {
    await claimPlaces(claiming(false), 'web', [place('3')]);
    await expect(claimPlaces(claiming(false, 60_000), 'api', [place('3')])).rejects.toMatchObject({ kind: 'conflict' });
    await expect(claimPlaces(claiming(true, 60_001), 'api', [place('3')])).rejects.toMatchObject({ kind: 'conflict' });
    await claimPlaces(claiming(false, 60_001), 'api', [place('3')]);
    expect(await claimedBy('3')).toBe('api');
  });
});
