import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Records } from '../../functions/ports/records.ts';
import { createRecord, getRecord, updateRecord, writeOptionsOf, type Shape } from '../../functions/ports/update.ts';
import type { OpenRecords } from '../../local/records.ts';
import { openTestRecords } from '../support/records.ts';

type Job = { readonly name: string; readonly count: number; readonly done: boolean };
const jobs: Shape<Job> = {
  what: 'job',
  indexesOf: (job) => (job.done ? {} : { open: { partition: `open/${job.name}`, sort: 'x' } }),
};

describe('updateRecord', () => {
  let opened: OpenRecords;
  let records: Records;
  beforeAll(async () => {
    opened = await openTestRecords();
    records = opened.records;
  });
  afterAll(async () => await opened.close());

  async function newJob() {
    const key = { partition: crypto.randomUUID(), sort: 'job' };
    const value: Job = { name: key.partition, count: 0, done: false };
    const created = await createRecord(records, jobs, { key, value });
    if (!created) throw new Error('taken');
    return created;
  }
  const openCount = async (job: Job) =>
    (await records.list({ partition: `open/${job.name}`, index: 'open' })).items.length;

  it('changes the value and lets the index entries follow it', async () => {
    const { key, value } = await newJob();
    expect(await openCount(value)).toBe(1);
    const after = await updateRecord(records, jobs, { key, change: (job) => ({ ...job, count: 1 }) });
    expect(after).toMatchObject({ version: 2, value: { count: 1 } });
    expect(await openCount(value)).toBe(1);
    await updateRecord(records, jobs, { key, change: (job) => ({ ...job, done: true }) });
    expect(await openCount(value)).toBe(0);
  });

  it('writes nothing when the change says so', async () => {
    const created = await newJob();
    expect(await updateRecord(records, jobs, { key: created.key, change: () => undefined })).toEqual(created);
    expect(await records.find(created.key)).toEqual(created);
  });

  it('loses none of 50 changes at once', async () => {
    const { key } = await newJob();
    const change = (job: Job) => ({ ...job, count: job.count + 1 });
    await Promise.all(Array.from({ length: 50 }, async () => await updateRecord(records, jobs, { key, change })));
    expect((await records.find<Job>(key))?.value.count).toBe(50);
  });

  it('decides again on the newer value when somebody wrote in between', async () => {
    const { key } = await newJob();
    const seen: number[] = [];
    const interrupted: Records = {
      ...records,
      find: async <T>(wanted: typeof key) => {
        const found = await records.find<T>(wanted);
        if (seen.length === 0) {
          await updateRecord(records, jobs, { key, change: (job) => ({ ...job, count: 10 }) });
        }
        return found;
      },
    };
    const change = (job: Job) => {
      seen.push(job.count);
      return { ...job, count: job.count + 1 };
    };
    expect((await updateRecord(interrupted, jobs, { key, change })).value.count).toBe(11);
    expect(seen).toEqual([0, 10]);
  });

  it('gives up as busy after 100 lost races', async () => {
    const { key } = await newJob();
    let attempts = 0;
    const losing: Records = { ...records, replace: async () => undefined };
    const change = (job: Job) => {
      attempts += 1;
      return { ...job, count: 1 };
    };
    await expect(updateRecord(losing, jobs, { key, id: 'j-1', change })).rejects.toMatchObject({
      kind: 'busy',
      message: expect.stringContaining('job j-1') as string,
    });
    expect(attempts).toBe(100);
  });

  it('names what it did not find', async () => {
    const key = { partition: crypto.randomUUID(), sort: 'job' };
    const notFound = { kind: 'not-found', message: 'There is no job j-7' };
    await expect(updateRecord(records, jobs, { key, id: 'j-7', change: (job) => job })).rejects.toMatchObject(notFound);
    await expect(getRecord(records, jobs, { key, id: 'j-7' })).rejects.toMatchObject(notFound);
  });

  it('ends with what the change throws, and writes nothing', async () => {
    const created = await newJob();
    const change = () => {
      throw new Error('not allowed');
    };
    await expect(updateRecord(records, jobs, { key: created.key, change })).rejects.toThrow('not allowed');
    expect(await records.find(created.key)).toEqual(created);
  });

  it('lets a record end when its shape says when', () => {
    const shape: Shape<Job> = { what: 'job', expiresAtSecondsOf: (job) => (job.done ? 1_800_000_000 : undefined) };
    const job: Job = { name: 'a', count: 0, done: true };
    expect(writeOptionsOf(shape, job)).toEqual({ expiresAtSeconds: 1_800_000_000 });
    expect(writeOptionsOf(shape, { ...job, done: false })).toEqual({});
  });
});
