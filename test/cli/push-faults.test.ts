import { writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { refusal, sha256, type Fault, type Seen } from './builds-service.ts';
import { blobsOf, ociImage, type Files } from './packages.ts';
import { layers, pushing } from './pushing.ts';

const { service, start, inFolder, push, pushed, write } = pushing();

let files: Files;
let image: string;
beforeEach(async () => {
  files = ociImage(layers);
  image = await write(files);
});
const isThere = () => blobsOf(files).every((name) => service().has(name)) && service().refs.size === 1;
const largeParts = Math.ceil(3_000_000 / 262_144) + Math.ceil(1_500_001 / 262_144);
/** The first so many requests of a route go wrong. */
const first =
  (route: string, count: number, fault: Fault) =>
  (seen: Seen): Fault | undefined =>
    seen.route === route && seen.count <= count ? fault : undefined;
const busy = { status: 503, body: refusal(503, 'busy'), headers: { 'retry-after': '7' } };
const routes = ['GET', 'QUERY missing_objects', 'POST upload', 'POST uploads', 'PUT part', 'POST build_ref'];

describe('a push through a bad network', () => {
  it.each(routes.flatMap((route) => ['before', 'after'].map((cut) => [route, cut] as const)))(
    'goes on when the connection is cut at %s, %s anything was done',
    async (route, cut) => {
      service().fault = first(route, 1, { cut: cut as 'before' | 'after' });
      expect((await push(image)).code).toBe(0);
      expect(isThere()).toBe(true);
    },
  );

  it.each(routes)('waits as long as a busy server asks at %s', async (route) => {
    service().fault = first(route, 1, busy);
    const { code, world } = await push(image);
    expect(code).toBe(0);
    expect(world.pauses).toContain(7000);
  });

  it.each([500, 502, 504])('repeats what was answered %i', async (status) => {
    service().fault = (seen) => first('PUT part', 3, { status })(seen) ?? first('POST uploads', 1, { status })(seen);
    expect((await push(image)).code).toBe(0);
    expect(isThere()).toBe(true);
  });

  it('sends a part that failed again, and no other', async () => {
    service().fault = first('PUT part', 1, { cut: 'before' });
    await pushed(image);
    expect(service().calls('PUT part')).toHaveLength(largeParts + 1);
  });

  it('asks for new URLs where the old ones are refused, as expired ones are', async () => {
    service().fault = first('PUT part', 2, { status: 403 });
    expect((await push(image)).code).toBe(0);
    expect(isThere()).toBe(true);
    expect(service().calls('POST uploads').length).toBeGreaterThan(4);
  });

  it('gives up in the end, says that what was sent stays, and goes on when it is called again', async () => {
    service().fault = ({ route, count }) => (route === 'PUT part' && count > 6 ? { cut: 'before' } : undefined);
    const { code, err } = await push(image);
    expect(code).toBe(3);
    expect(err).toContain('What was sent stays');
    expect(service().refs.size).toBe(0);
    service().fault = () => undefined;
    const before = service().calls('PUT part').length;
    const { bytes } = await pushed(image);
    expect(service().calls('PUT part').length - before).toBe(largeParts - 6);
    expect(bytes.sent).toBeLessThan(bytes.total - 5 * 262_144);
    expect(isThere()).toBe(true);
  });

  it('does not wait for a part that is answered late before it sends the others', async () => {
    let release = () => {};
    const late = new Promise<void>((resolve) => (release = resolve));
    service().fault = (seen) => {
      if (seen.route === 'PUT part' && seen.count === largeParts) release();
      return first('PUT part', 1, { wait: late })(seen);
    };
    expect((await push(image)).code).toBe(0);
    expect(isThere()).toBe(true);
  });

  it('sends several at once, and no more than it may', async () => {
    let running = 0;
    let most = 0;
    const three = Promise.withResolvers<void>();
    service().fault = ({ route }) => {
      if (route !== 'PUT part') return undefined;
      most = Math.max(most, ++running);
      if (running === 3) three.resolve();
      return { wait: three.promise.then(turns).then(() => void running--) };
    };
    await pushed(image, '--parallel', '3');
    expect(most).toBe(3);
  });
  /** Long enough for one more request to come in, if one were sent. */
  const turns = async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  };

  it('sends again what the server says it has stored and has not', async () => {
    service().fault = (seen) => first('POST upload', 1, { status: 200, body: [...smallSizes()] })(seen);
    const { objects } = await pushed(image);
    expect(service().calls('POST upload')).toHaveLength(2);
    expect(objects.total).toBe(5);
    expect(isThere()).toBe(true);
  });
  const smallSizes = () => {
    const sizes = [...files].filter(([name, { length }]) => name.startsWith('blobs/') && length < 1024 ** 2);
    const manifest = sizes.find(([, bytes]) => bytes.includes('"schemaVersion"'));
    const config = sizes.find(([, bytes]) => bytes.includes('"rootfs"'));
    return [manifest, config, sizes.find((each) => each !== manifest && each !== config)].map(
      (each) => each?.[1].length,
    );
  };

  it.each([
    ['fewer sizes than were sent', [1]],
    ['nothing', undefined],
    ['something else', { fine: true }],
  ])('fails where an upload is answered with %s', async (_what, body) => {
    service().fault = first('POST upload', 100, { status: 200, body });
    expect(await push(image)).toMatchObject({ code: 3, err: expect.stringContaining('does not say that it stored') });
  });

  it('gives up on a server that never says that it has what it was sent', async () => {
    service().mostParts = 3;
    service().fault = ({ route }) => (route === 'PUT part' ? { status: 200 } : undefined);
    const { code, err, world } = await push(image);
    expect(code).toBe(3);
    expect(err).toContain('still lacks parts of sha256:');
    expect(world.pauses.reduce((sum, each) => sum + each, 0)).toBeLessThan(1_000_000);
  });
});

describe('a push that was killed', () => {
  it.each([
    ['while it asks what is missing', 'QUERY missing_objects', 1],
    ['while the small objects are sent', 'POST upload', 1],
    ['while it asks where parts go', 'POST uploads', 1],
    ['at the first part', 'PUT part', 1],
    ['amid the parts', 'PUT part', 9],
    ['at the last part', 'PUT part', largeParts],
    ['before the ref is named', 'POST build_ref', 1],
  ])('%s goes on where it was, and sends nothing twice', async (_when, route, count) => {
    const hanging = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    service().fault = (seen) => {
      if (seen.route !== route || seen.count !== count) return undefined;
      reached.resolve();
      return { wait: hanging.promise, cut: 'before' };
    };
    const { world, end } = start(['push', '7', image]);
    await reached.promise;
    world.interrupt();
    expect(await end).toMatchObject({ code: 130, err: expect.stringContaining('What was sent stays') });
    hanging.resolve();
    expect(service().refs.size).toBe(0);
    service().fault = () => undefined;
    const before = service().calls('PUT part').length;
    expect((await push(image)).code).toBe(0);
    expect(isThere()).toBe(true);
    // Up to four were under way.
    expect(before + service().calls('PUT part').length - before).toBeLessThanOrEqual(largeParts + 4);
  });

  it('takes what is listed a few parts at a time', async () => {
    service().mostParts = 2;
    expect((await push(image)).code).toBe(0);
    expect(service().calls('PUT part')).toHaveLength(largeParts);
    expect(isThere()).toBe(true);
  });
});

describe('several pushes at once', () => {
  it('of the same image into one build leave it whole', async () => {
    const ends = await Promise.all([push(image), push(image), push(image)]);
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(isThere()).toBe(true);
  });

  it('of different images leave both', async () => {
    const other = ociImage([layers[0], layers[2]], { architecture: 'arm64' });
    const ends = await Promise.all([push(image), push(await write(other, 'other'))]);
    expect(ends.map(({ code }) => code)).toEqual([0, 0]);
    expect([...service().refs.keys()].sort()).toEqual(['app/web/amd64/dev', 'app/web/arm64/dev']);
    for (const name of [...blobsOf(files), ...blobsOf(other)]) expect(service().has(name)).toBe(true);
  });
});

describe('a refusal', () => {
  it.each(routes.filter((route) => route !== 'PUT part'))('at %s is told as the API says it', async (route) => {
    service().fault = first(route, 1, {
      status: 400,
      body: refusal(400, 'wrong-repo-state', { message: 'Build is already committed', 'current-state': 'ready' }),
    });
    expect(await push(image)).toMatchObject({ code: 2, err: expect.stringContaining('Build is already committed.') });
  });

  it('of a part is told with its reason, and never with its URL', async () => {
    service().fault = ({ route }) =>
      route === 'PUT part' ? { status: 400, body: { message: 'The bytes have another digest' } } : undefined;
    const { code, err } = await push(image);
    expect(code).toBe(3);
    expect(err).toMatch(/answered 400 to part \d+: The bytes have another digest/);
    expect(err).not.toContain('signature');
  });

  it('ends the other transfers', async () => {
    service().fault = ({ route }) =>
      route === 'POST upload' ? { status: 403, body: refusal(403, 'token-insufficient') } : undefined;
    expect((await push(image)).code).toBe(2);
    expect(service().refs.size).toBe(0);
  });
});

describe('a file that changes while it is pushed', () => {
  const name = sha256(layers[0]);
  it.each([
    ['is written to', async (file: string) => await writeFile(file, Buffer.alloc(3_000_000, 7))],
    ['is cut short', async (file: string) => await writeFile(file, 'short')],
  ])('and %s is an error that says so', async (_what, change) => {
    const file = `${inFolder('image')}/blobs/sha256/${name}`;
    let changed: Promise<void> | undefined;
    service().fault = ({ route }) => {
      if (route !== 'POST uploads') return undefined;
      changed ??= change(file);
      return { wait: changed };
    };
    const { code, err } = await push(image);
    expect(code).toBe(2);
    expect(err).toContain('it changed while it was pushed');
    expect(service().refs.size).toBe(0);
  });
});
