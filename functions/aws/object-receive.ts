import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { Objects } from '../ports/objects.ts';
import { Problem } from '../runtime/errors.ts';
import { digestOf, metered, newMeter } from './object-body.ts';
import { sent, type ObjectsOptions } from './object-calls.ts';
import { atBlob, putAgainInput } from './object-requests.ts';

/**
 * What is received is held in memory whole until its digest is known. What comes through a Lambda function has at most
 * 6 MB (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), so nothing is missed by this.
 */
export const mostReceivedBytes = 8 * 1024 ** 2;

/**
 * Puts it in one call, of which S3 checks the sha256; over the same blob where that is there. Needs `s3:PutObject` on
 * the blobs.
 */
export function receiveObjects({ client, bucket }: ObjectsOptions): Pick<Objects, 'receive'> {
  return {
    async receive(body, { maxBytes = Infinity, check } = {}) {
      const meter = newMeter();
      const chunks: Uint8Array[] = [];
      for await (const chunk of metered(withinMemory(body, maxBytes), meter, maxBytes)) chunks.push(chunk);
      const received = { digest: digestOf(meter), sizeBytes: meter.sizeBytes };
      check?.(received);
      const input = putAgainInput(atBlob(bucket, received.digest), received.digest, Buffer.concat(chunks));
      await sent(client.send(new PutObjectCommand(input)));
      return received;
    },
  };
}

/** The body as it is; throws `Problem('too-large')` past what is held, unless the caller's own limit is met first. */
async function* withinMemory(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > mostReceivedBytes && sizeBytes <= maxBytes) throw tooLargeForOne();
    yield chunk;
  }
}

function tooLargeForOne(): Problem {
  const limit = `An object sent in one request may have at most ${mostReceivedBytes} bytes`;
  return new Problem('too-large', `${limit}; send a larger one by presigned uploads (POST …/uploads)`);
}
