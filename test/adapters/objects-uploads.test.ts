import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { finishUploads } from '../../functions/aws/object-finish.ts';
import { s3Objects } from '../../functions/aws/objects.ts';
import type { Objects, UploadRef } from '../../functions/ports/objects.ts';
import { randomBlob, send } from '../contract/object-blobs.ts';
import { awsError } from '../support/scripted-aws.ts';
import { scriptedS3, type ScriptedS3 } from '../support/scripted-s3.ts';

const mebibyte = 1024 ** 2;

describe('uploads in parts on S3', () => {
  const small = uploadOf(1000);
  const large = uploadOf(8 * mebibyte + 1000);
  /** Most faults are those of a blob of one part, too. */
  let { blob, upload, key, stagedKey } = small;
  let s3: ScriptedS3;
  let objects: Objects;
  beforeEach(async () => {
    ({ blob, upload, key, stagedKey } = small);
    s3 = await scriptedS3();
    objects = s3Objects({ client: s3.client, bucket: s3.bucket, clock: Date.now });
  });
  afterEach(async () => await s3.close());

  async function sendMissing(port: Pick<Objects, 'openUpload'> = objects): Promise<void> {
    const answer = await port.openUpload(upload, { seconds: 60 });
    if (answer.status !== 'open') throw new Error('it is stored already');
    for (const { offsetBytes, sizeBytes, put } of answer.missing) {
      expect((await send(put, blob.bytes.subarray(offsetBytes, offsetBytes + sizeBytes))).status).toBe(200);
    }
  }
  function nothingLeft(): void {
    expect(s3.keys()).toEqual([key]);
    expect(s3.uploads()).toBe(0);
    expect(s3.read(key)?.equals(blob.bytes)).toBe(true);
  }

  it('ask S3 for no more than they must', async () => {
    await sendMissing();
    expect(s3.asked.map(({ operation }) => operation)).toEqual([
      'HeadObject',
      'HeadObject',
      'ListMultipartUploads',
      'CreateMultipartUpload',
    ]);
    s3.asked.length = 0;
    await objects.finishUpload(upload);
    expect(s3.asked.map(({ operation }) => operation)).toEqual([
      'HeadObject',
      'HeadObject',
      'ListMultipartUploads',
      'ListParts',
      'CompleteMultipartUpload',
      'HeadObject',
      'GetObject',
      'CopyObject',
      'ListMultipartUploads',
      'DeleteObject',
    ]);
    nothingLeft();
  });

  it.each(Array.from({ length: 10 }, (_, index) => index + 1))('are finished when killed at call %i', async (kill) => {
    await sendMissing();
    let calls = 0;
    s3.before = () => {
      if ((calls += 1) >= kill) throw new Error('killed');
    };
    await expect(objects.finishUpload(upload)).rejects.toThrow('killed');
    s3.before = undefined;
    expect(await objects.openUpload(upload, { seconds: 60 })).not.toMatchObject({ missing: [{}] });
    expect(await objects.finishUpload(upload)).toEqual({ sizeBytes: blob.bytes.length });
    nothingLeft();
  });

  it.each(Array.from({ length: 10 }, (_, index) => index + 1))(
    'are finished when the answer to call %i is lost',
    async (lost) => {
      await sendMissing();
      let calls = 0;
      s3.after = () => {
        if ((calls += 1) === lost) throw awsError('InternalError', undefined, 500);
      };
      expect(await objects.finishUpload(upload)).toEqual({ sizeBytes: blob.bytes.length });
      nothingLeft();
    },
  );

  it.each(['ListMultipartUploads', 'ListParts', 'CompleteMultipartUpload', 'GetObject', 'CopyObject', 'DeleteObject'])(
    'are finished when another finishes them just before %s',
    async (step) => {
      await sendMissing();
      const other = s3Objects({ client: s3.client, bucket: s3.bucket, clock: Date.now });
      s3.before = async (operation) => {
        if (operation !== step) return;
        s3.before = undefined;
        await other.finishUpload(upload);
      };
      expect(await objects.finishUpload(upload)).toEqual({ sizeBytes: blob.bytes.length });
      nothingLeft();
    },
  );

  describe('with proof', () => {
    const proof = { proof: true };
    /** The blob of somebody else is there already. */
    beforeEach(async () => {
      s3.place(key, blob.bytes);
      const answer = await objects.openUpload(upload, { seconds: 60, ...proof });
      if (answer.status !== 'open') throw new Error('it was answered without proof');
      for (const part of answer.missing) await send(part.put, blob.bytes);
      s3.asked.length = 0;
    });
    function kept(): void {
      expect(s3.keys()).toEqual([key, stagedKey]);
      expect(s3.uploads()).toBe(0);
      expect(s3.read(key)?.equals(blob.bytes)).toBe(true);
    }

    it('do not ask whether the blob is there, and copy over it', async () => {
      await objects.finishUpload(upload, proof);
      expect(s3.asked.map(({ operation }) => operation)).toEqual([
        'HeadObject',
        'ListMultipartUploads',
        'ListParts',
        'CompleteMultipartUpload',
        'HeadObject',
        'GetObject',
        'CopyObject',
      ]);
      expect(s3.asked.at(-1)?.input).not.toHaveProperty('IfNoneMatch');
      kept();
    });

    it.each(Array.from({ length: 7 }, (_, index) => index + 1))('are finished when killed at call %i', async (kill) => {
      let calls = 0;
      s3.before = () => {
        if ((calls += 1) >= kill) throw new Error('killed');
      };
      await expect(objects.finishUpload(upload, proof)).rejects.toThrow('killed');
      s3.before = undefined;
      const again = await objects.openUpload(upload, { seconds: 60, ...proof });
      expect(again).toMatchObject({ status: 'open', missingCount: 0 });
      expect(await objects.finishUpload(upload, proof)).toEqual({ sizeBytes: blob.bytes.length });
      kept();
    });

    it.each(Array.from({ length: 7 }, (_, index) => index + 1))(
      'are finished when the answer to call %i is lost',
      async (lost) => {
        let calls = 0;
        s3.after = () => {
          if ((calls += 1) === lost) throw awsError('InternalError', undefined, 500);
        };
        expect(await objects.finishUpload(upload, proof)).toEqual({ sizeBytes: blob.bytes.length });
        kept();
      },
    );

    it.each(['ListMultipartUploads', 'ListParts', 'CompleteMultipartUpload', 'GetObject', 'CopyObject'])(
      'are not finished by the blob alone when they are abandoned just before %s',
      async (step) => {
        s3.before = async (operation) => {
          if (operation !== step) return;
          s3.before = undefined;
          await objects.abandonUpload(upload);
        };
        await expect(objects.finishUpload(upload, proof)).rejects.toMatchObject({ kind: 'conflict' });
        expect(s3.keys()).toEqual([key]);
      },
    );

    it('leave nothing but the blob when they are abandoned after', async () => {
      await objects.finishUpload(upload, proof);
      expect(s3.keys()).toEqual([key, stagedKey]);
      await objects.abandonUpload(upload);
      nothingLeft();
    });
  });

  it('are opened when S3 throttles', async () => {
    let left = 1;
    s3.before = () => {
      if ((left -= 1) >= 0) throw awsError('SlowDown', undefined, 503);
    };
    expect(await objects.openUpload(upload, { seconds: 60 })).toMatchObject({ status: 'open', missingCount: 1 });
  });

  it('go on with the fuller one when two were begun at the very same time', async () => {
    ({ blob, upload, key, stagedKey } = large);
    const begin = async () => {
      const answer = await objects.openUpload(upload, { seconds: 60 });
      if (answer.status !== 'open') throw new Error('it is stored already');
      return answer.missing;
    };
    const [mine, theirs] = await Promise.all([begin(), begin()]);
    expect(s3.uploads()).toBe(2);
    const second = theirs[1];
    if (!second || !mine[0]) throw new Error('no parts');
    expect((await send(second.put, blob.bytes.subarray(second.offsetBytes))).status).toBe(200);
    const again = await objects.openUpload(upload, { seconds: 60 });
    expect(again).toMatchObject({ missingCount: 1, missing: [{ number: 1 }] });
    await sendMissing();
    await objects.finishUpload(upload);
    nothingLeft();
  });

  it('are abandoned with all that was begun', async () => {
    await Promise.all([objects.openUpload(upload, { seconds: 60 }), objects.openUpload(upload, { seconds: 60 })]);
    expect(s3.uploads()).toBe(2);
    await objects.abandonUpload(upload);
    expect(s3.uploads()).toBe(0);
  });

  it('are not finished by a part that is sent again at that moment, and told so', async () => {
    await sendMissing();
    s3.before = (operation, asked) => {
      if (operation !== 'CompleteMultipartUpload') return;
      asked.MultipartUpload.Parts[0].ETag = '"before"';
    };
    await expect(objects.finishUpload(upload)).rejects.toMatchObject({ kind: 'conflict' });
    s3.before = undefined;
    expect(await objects.finishUpload(upload)).toEqual({ sizeBytes: blob.bytes.length });
  });

  it('take no part of one who announced another size', async () => {
    ({ blob, upload, key, stagedKey } = large);
    const longer = { ...upload, sizeBytes: blob.bytes.length + 8 * mebibyte };
    const answer = await objects.openUpload(longer, { seconds: 60 });
    if (answer.status !== 'open') throw new Error('it is stored already');
    for (const part of answer.missing.slice(1)) await send(part.put, Buffer.alloc(part.sizeBytes));
    expect(await objects.openUpload(upload, { seconds: 60 })).toMatchObject({ missingCount: 2 });
    await sendMissing();
    await objects.finishUpload(upload);
    nothingLeft();
  });

  it('do not copy what took the place of what was verified', async () => {
    await sendMissing();
    s3.before = (operation) => {
      if (operation === 'CopyObject') s3.place(stagedKey, Buffer.from('other'));
    };
    await expect(objects.finishUpload(upload)).rejects.toMatchObject({ kind: 'conflict' });
    expect(s3.read(key)).toBeUndefined();
  });

  describe('that are too large to be copied in one call', () => {
    beforeEach(() => {
      ({ blob, upload, key, stagedKey } = large);
    });
    const port = () => finishUploads({ client: s3.client, bucket: s3.bucket, copyPieceBytes: 1_000_000 });

    it('are copied piece by piece', async () => {
      await sendMissing();
      expect(await port().finishUpload(upload)).toEqual({ sizeBytes: blob.bytes.length });
      const ranges = s3.asked.filter(({ operation }) => operation === 'UploadPartCopy').map(({ input }) => input);
      expect(ranges).toHaveLength(9);
      expect(ranges.at(-1)).toMatchObject({ PartNumber: 9, CopySourceRange: 'bytes=8000000-8389607' });
      nothingLeft();
    });

    it('are copied over the blob, too, with proof', async () => {
      await sendMissing();
      s3.place(key, blob.bytes, { etag: '"before"' });
      expect(await port().finishUpload(upload, { proof: true })).toEqual({ sizeBytes: blob.bytes.length });
      expect(s3.asked.filter(({ operation }) => operation === 'UploadPartCopy')).toHaveLength(9);
      expect([s3.keys(), s3.uploads()]).toEqual([[key, stagedKey], 0]);
      expect(s3.read(key)?.equals(blob.bytes)).toBe(true);
    });

    it('leave nothing of a copy that fails, and are finished later', async () => {
      await sendMissing();
      s3.before = (operation, input) => {
        if (operation === 'UploadPartCopy' && input.PartNumber === 6) throw awsError('AccessDenied', undefined, 403);
      };
      await expect(port().finishUpload(upload)).rejects.toThrow('AccessDenied');
      s3.before = undefined;
      expect([s3.keys(), s3.uploads()]).toEqual([[stagedKey], 0]);
      expect(await port().finishUpload(upload)).toEqual({ sizeBytes: blob.bytes.length });
      nothingLeft();
    });

    it('are there when the last answer of the copy is lost', async () => {
      await sendMissing();
      let left = 2;
      s3.after = (operation) => {
        // The first completes what was uploaded, the second what was copied.
        if (operation === 'CompleteMultipartUpload' && (left -= 1) === 0) throw awsError('InternalError', '', 500);
      };
      expect(await port().finishUpload(upload)).toEqual({ sizeBytes: blob.bytes.length });
      nothingLeft();
    });
  });
});

function uploadOf(size: number) {
  const blob = randomBlob(size);
  const hex = blob.digest.slice('sha256:'.length);
  const upload: UploadRef = { id: 'build-7', digest: blob.digest, sizeBytes: size };
  return { blob, upload, key: `blobs/sha256/${hex}`, stagedKey: `uploads/build-7/${hex}` };
}
