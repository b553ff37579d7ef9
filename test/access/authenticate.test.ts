import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { authenticator } from '../../functions/access/authenticate.ts';
import { mintToken } from '../../functions/access/mint.ts';
import { root, type Principal } from '../../functions/access/principal.ts';
import type { Records } from '../../functions/ports/records.ts';
import { silentLog, type LogFields } from '../../functions/runtime/log.ts';
import type { OpenRecords } from '../../local/records.ts';
import { openTestRecords } from '../support/records.ts';

const loaded = vi.hoisted(() => ({ jose: 0 }));
vi.mock('jose/jwt/verify', async (original) => {
  loaded.jose += 1;
  return await original();
});

const adminToken = 'the-admin-token-of-these-tests';
const adminTokens = async () => await Promise.resolve([adminToken]);
let stores: OpenRecords;
beforeEach(async () => {
  stores = await openTestRecords();
});
afterEach(async () => {
  await stores.close();
});
const authenticate = (records: Records = stores.records, log = silentLog) =>
  authenticator({ adminTokens, records, clock: Date.now, log });
const mint = async (parent: Principal = root, jti = 'j1') => {
  const ports = { records: stores.records, clock: Date.now, newId: () => jti, adminTokens };
  const durationSeconds = parent === root ? 120 : 60;
  return (await mintToken(ports, parent, { name: 'ci', durationSeconds, scope: ['read'] })).value;
};
const forget = async (jti: string) => {
  const stored = await stores.records.find({ partition: `token/${jti}`, sort: 'token' });
  if (stored) await stores.records.remove(stored);
};

describe('authentication', () => {
  it('loads what minted tokens need only when one is shown', async () => {
    const principalOf = authenticate();
    expect([await principalOf(adminToken), await principalOf('garbage'), loaded.jose]).toEqual([root, undefined, 0]);
    expect(await principalOf(await mint())).toMatchObject({ name: 'admin/ci', jti: 'j1' });
    expect(loaded.jose).toBe(1);
  });

  it('lets nobody in whose record is gone, or that of a token above: a signature alone is not enough', async () => {
    const token = await mint();
    const child = await mint((await authenticate()(token)) ?? root, 'j2');
    expect(await authenticate()(child)).toMatchObject({ name: 'admin/ci/ci', parents: ['j1'] });
    await forget('j1');
    expect([await authenticate()(token), await authenticate()(child)]).toEqual([undefined, undefined]);
  });

  it('goes on when a use cannot be noted, and says so without the token', async () => {
    const token = await mint();
    const lines: (readonly [string, LogFields])[] = [];
    const log = { ...silentLog, warn: (message: string, fields: LogFields = {}) => void lines.push([message, fields]) };
    const broken: Records = { ...stores.records, replace: async () => await Promise.reject(new Error('too slow')) };
    expect(await authenticate(broken, log)(token)).toMatchObject({ name: 'admin/ci' });
    expect(lines).toEqual([['the use of a token was not noted', { jti: 'j1', reason: 'too slow' }]]);
  });

  it('fails when the records do: nobody is let in unseen', async () => {
    const token = await mint();
    const broken: Records = { ...stores.records, find: async () => await Promise.reject(new Error('gone')) };
    await expect(authenticate(broken)(token)).rejects.toThrow('gone');
  });
});
