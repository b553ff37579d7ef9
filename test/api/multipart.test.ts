import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parts, type MultipartLimits } from '../../functions/api/multipart.ts';
import { Problem } from '../../functions/runtime/errors.ts';

const boundary = 'aBoundary';
const mixed = `multipart/mixed; boundary=${boundary}`;
type Sent = { readonly header: string; readonly content: Uint8Array };

function encoded(sent: readonly Sent[], mark = boundary): Buffer {
  const pieces = sent.flatMap(({ header, content }) => [`--${mark}\r\n${header}\r\n\r\n`, content, '\r\n']);
  return Buffer.concat([...pieces, `--${mark}--\r\n`].map((piece) => Buffer.from(piece as Uint8Array)));
}
/** A body that comes in pieces of these sizes, over and over; and how much of it was asked for. */
function streamed(bytes: Uint8Array, sizes: readonly number[] = [bytes.length || 1]) {
  const state = { asked: 0, cancelled: false };
  let turn = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (state.asked >= bytes.length) return controller.close();
        const size = sizes[turn++ % sizes.length] ?? 1;
        controller.enqueue(bytes.subarray(state.asked, state.asked + size));
        state.asked += size;
      },
      cancel() {
        state.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, state };
}
async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
/** Takes one, and stops. */
async function firstOf<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}
async function read(
  bytes: Uint8Array,
  {
    type = mixed,
    sizes,
    limits = { maxParts: 10 },
  }: { type?: string; sizes?: number[]; limits?: MultipartLimits } = {},
) {
  const found: { index: number; filename: string; text: string }[] = [];
  for await (const { index, filename, body } of parts(streamed(bytes, sizes).stream, type, limits))
    found.push({ index, filename, text: (await bytesOf(body)).toString('latin1') });
  return found;
}
const attachment = (filename: string) => `Content-Disposition: attachment; filename="${filename}"`;
const part = (filename: string, content: string): Sent => ({
  header: attachment(filename),
  content: Buffer.from(content),
});
const problemOf = async (bytes: Uint8Array | string, options?: Parameters<typeof read>[1]) =>
  await read(Buffer.from(bytes as Uint8Array), options).then(
    (found) => found,
    (error: unknown) => (error instanceof Problem ? [error.kind, error.message] : error),
  );

describe('the parts of a multipart body', () => {
  it('come out as flat-manager’s Python client sends them', async () => {
    const header =
      'Content-Type: application/octet-stream\r\nContent-Length: 3\r\nContent-Disposition: attachment; filename="a.filez"';
    const bytes = encoded([{ header, content: Buffer.from('abc') }, part('b.commit', '')]);
    expect(await read(bytes)).toEqual([
      { index: 0, filename: 'a.filez', text: 'abc' },
      { index: 1, filename: 'b.commit', text: '' },
    ]);
  });

  it('come out as its Rust client sends them', async () => {
    const header =
      'Content-Disposition: form-data; name="file0"; filename="a.filez"\r\nContent-Type: application/octet-stream';
    const type = 'multipart/form-data; boundary=7a4-1b';
    const bytes = encoded([{ header, content: Buffer.from('abc') }], '7a4-1b');
    expect(await read(bytes, { type })).toEqual([{ index: 0, filename: 'a.filez', text: 'abc' }]);
  });

  it('are the same ones however the bytes are cut on the way', async () => {
    // Pieces of the delimiter itself are the contents that are hard to tell from it.
    const piece = fc.constantFrom(
      '\r',
      '\n',
      '-',
      '--',
      '\r\n',
      '\r\n--',
      `\r\n--${boundary.slice(0, 4)}`,
      'a',
      'text\0',
    );
    const content = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.from(pieces.join(''))),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    );
    const clean = content.filter(
      (bytes) => !Buffer.from(`\r\n${bytes.toString('latin1')}`).includes(`\r\n--${boundary}`),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(clean, { maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
        async (contents, sizes) => {
          const sent = contents.map((bytes, at) => ({ header: attachment(`file-${at}`), content: bytes }));
          const found = await read(encoded(sent), { sizes });
          expect(found).toEqual(
            contents.map((bytes, index) => ({ index, filename: `file-${index}`, text: bytes.toString('latin1') })),
          );
        },
      ),
      { numRuns: 400 },
    );
  });

  it.each([
    ['a quoted name', 'attachment; filename="a b.txt"', 'a b.txt'],
    ['a name in no quotes', 'attachment; filename=a.filez', 'a.filez'],
    ['a quoted name with escapes', String.raw`form-data; name="x"; filename="a\"b\\c"`, String.raw`a"b\c`],
    ['another disposition', 'inline;FILENAME = "a"'.replace(' = ', '='), 'a'],
    ['an encoded name', "form-data; name=x; filename*=utf-8''%e2%82%ac", '€'],
  ])('may have %s', async (_what, disposition, filename) => {
    const bytes = encoded([{ header: `content-disposition:${disposition}`, content: Buffer.from('x') }]);
    expect(await read(bytes)).toEqual([{ index: 0, filename, text: 'x' }]);
  });

  it('may follow a preamble, stand behind padding, have a folded header and be followed by more', async () => {
    const bytes = Buffer.from(
      `Some words first\r\n--${boundary} \t\r\nContent-Disposition: attachment;\r\n\tfilename="a"\r\n\r\none\r\n--${boundary}--\r\nand last`,
    );
    expect(await read(bytes)).toEqual([{ index: 0, filename: 'a', text: 'one' }]);
  });

  it('may be none at all', async () => {
    expect(await read(Buffer.from(`--${boundary}--\r\n`))).toEqual([]);
  });

  it('are passed over where they are not read, whole or in part', async () => {
    const long = 'x'.repeat(100_000);
    const bytes = encoded([part('a', long), part('b', long), part('c', 'short')]);
    const found: string[] = [];
    for await (const { filename, body } of parts(streamed(bytes, [1000]).stream, mixed, { maxParts: 3 })) {
      found.push(filename);
      if (filename === 'b') await firstOf(body);
      if (filename === 'c') found.push((await bytesOf(body)).toString());
    }
    expect(found).toEqual(['a', 'b', 'c', 'short']);
  });
});

describe('a multipart body that is wrong', () => {
  const cut = encoded([part('a', 'one'), part('b', 'the second one')]);
  const until = (text: string) => cut.subarray(0, cut.indexOf(text) + text.length);
  it.each([
    ['without a boundary', `multipart/mixed`, 'The content type must give a boundary of 1 to 70 characters'],
    [
      'with a boundary too long',
      `multipart/mixed; boundary=${'a'.repeat(71)}`,
      'The content type must give a boundary of 1 to 70 characters',
    ],
    [
      'with an empty boundary',
      'multipart/mixed; boundary=""',
      'The content type must give a boundary of 1 to 70 characters',
    ],
    [
      'with two boundaries',
      `multipart/mixed; boundary=a; boundary=b`,
      'The content type must give a boundary of 1 to 70 characters',
    ],
  ])('%s is refused', async (_what, type, message) => {
    expect(await problemOf(cut, { type })).toEqual(['invalid', message]);
  });

  it('of another type is refused', async () => {
    const message = 'The body must be multipart/form-data or multipart/mixed';
    for (const type of ['application/json', `multipart/related; boundary=${boundary}`, ''])
      expect(await problemOf(cut, { type })).toEqual(['unsupported-media-type', message]);
  });

  it.each([
    ['that is empty', '', 'The body does not begin with the boundary that its content type names'],
    ['of another boundary', encoded([part('a', 'x')], 'another'), 'The body does not begin with the boundary that its content type names'],
    ['that breaks off in a part', until('second'), 'Part 2 of the body (b) breaks off: the body ends before the boundary behind it'],
    ['that breaks off in a header', until('filename="b'), 'Part 2 of the body has a header that does not end within 16 KiB'],
    ['without its last boundary', until('one\r\n--aBoundary'), 'After the boundary before part 2 of the body comes nothing'],
    ['with half of its last boundary', until('second one\r\n--aBound'), 'Part 2 of the body (b) breaks off: the body ends before the boundary behind it'],
    ['with other text behind a boundary', `--${boundary}more\r\n\r\n`, 'After the boundary before part 1 of the body comes neither a line break nor two dashes'],
    ['with a part without a header', encoded([part('a', ''), { header: '\r\n', content: Buffer.from('x') }]), 'Part 2 of the body has no file name: Content-Disposition must give it'],
    ['with a part without a name', encoded([part('a', ''), { header: 'Content-Disposition: form-data; name="x"', content: Buffer.from('x') }]), 'Part 2 of the body has no file name: Content-Disposition must give it'],
    ['with an empty name', encoded([part('', 'x')]), 'Part 1 of the body has no file name: Content-Disposition must give it'],
    ['with two names', encoded([{ header: `${attachment('a')}; filename="b"`, content: Buffer.from('x') }]), 'Part 1 of the body has no file name: Content-Disposition must give it'],
    ['with a header twice', encoded([{ header: `${attachment('a')}\r\n${attachment('b')}`, content: Buffer.from('x') }]), 'Part 1 of the body has a malformed header'],
    ['with a header that is none', encoded([{ header: 'no colon', content: Buffer.from('x') }]), 'Part 1 of the body has a malformed header'],
    ['with a header that the next boundary cuts', `--${boundary}\r\n${attachment('a')}\r\n--${boundary}\r\n\r\nx\r\n--${boundary}--`, 'Part 1 of the body has a malformed header'],
    ['with a part that is encoded', encoded([{ header: `${attachment('a')}\r\nContent-Transfer-Encoding: base64`, content: Buffer.from('eA==') }]), 'Part 1 of the body (a) is encoded (content-transfer-encoding); it must come as it is'],
    ['with a part that is not as long as it says', encoded([{ header: `${attachment('a')}\r\nContent-Length: 5`, content: Buffer.from('x') }]), 'Part 1 of the body (a) has 1 bytes, and its header says 5'],
  ])('%s is refused', async (_what, bytes, message) => {
    expect(await problemOf(bytes)).toEqual(['invalid', message]);
    expect(await problemOf(bytes, { sizes: [1] })).toEqual(['invalid', message]);
  }); // prettier-ignore

  it('that breaks off as its connection does says so', async () => {
    const broken = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(until('second'));
      },
      pull(controller) {
        controller.error(new Error('reset'));
      },
    });
    const reading = async () => {
      for await (const { body } of parts(broken, mixed, { maxParts: 9 })) await bytesOf(body);
    };
    await expect(reading()).rejects.toThrow('The body broke off before its end');
  });

  it('with too many parts is refused after the last one that is allowed', async () => {
    expect(await problemOf(cut, { limits: { maxParts: 1 } })).toEqual(['too-large', 'The body has more than 1 parts']);
    expect(await read(cut, { limits: { maxParts: 2 } })).toHaveLength(2);
  });

  it('with a header that does not end is refused without holding it', async () => {
    const endless = `--${boundary}\r\nX-Long: ${'a'.repeat(1_000_000)}`;
    const { stream, state } = streamed(Buffer.from(endless), [1000]);
    const reading = parts(stream, mixed, { maxParts: 1 }).next();
    await expect(reading).rejects.toThrow('Part 1 of the body has a header that does not end within 16 KiB');
    expect(state.asked).toBeLessThan(20_000);
    expect(state.cancelled).toBe(true);
    const many = `--${boundary}\r\n${Array.from({ length: 5000 }, (_, n) => `X-${n}: a\r\n`).join('')}\r\n`;
    expect(await problemOf(many)).toEqual([
      'invalid',
      'Part 1 of the body has a header that does not end within 16 KiB',
    ]);
  });

  it('never ends in anything but a problem', async () => {
    const word = fc.constantFrom(
      `--${boundary}`,
      '--',
      '\r\n',
      '\r\n\r\n',
      ':',
      ';',
      '"',
      '\\',
      'filename=',
      attachment('a'),
      ' ',
      'x',
      '\0',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 30 }), async (words) => {
        const result = await problemOf(`--${boundary}${words.join('')}`, { sizes: [7] });
        expect(result).not.toBeInstanceOf(Error);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('whoever reads the parts', () => {
  const long = encoded([part('a', 'x'.repeat(1_000_000))]);

  it('gets the first bytes before the last ones are there, and is not run ahead of', async () => {
    const { stream, state } = streamed(long, [1000]);
    for await (const { body } of parts(stream, mixed, { maxParts: 1 })) {
      let taken = 0;
      for await (const chunk of body) {
        taken += chunk.length;
        expect(state.asked - taken).toBeLessThan(3000);
      }
      expect(taken).toBe(1_000_000);
    }
    expect(state.cancelled).toBe(false);
  });

  it('cancels the body by stopping early, between parts and within one', async () => {
    const between = streamed(long, [1000]);
    await firstOf(parts(between.stream, mixed, { maxParts: 1 }));
    expect([between.state.cancelled, between.state.asked < 5000]).toEqual([true, true]);
    const within = streamed(long, [1000]);
    const reading = async () => {
      for await (const { body } of parts(within.stream, mixed, { maxParts: 1 }))
        await firstOf(body).then(() => Promise.reject(new Error('enough')));
    };
    await expect(reading()).rejects.toThrow('enough');
    expect([within.state.cancelled, within.state.asked < 5000]).toEqual([true, true]);
  });
});
