import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { Agent, request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { v7 } from 'uuid';
import { addEntries, type NamedEntry } from '../../functions/builds/contents.ts';
import { createUploadBuild } from '../../functions/builds/create.ts';
import { openRecords } from '../../local/records.ts';
import { startTestServer, testToken } from '../support/server.ts';
import { median, timed, type Comparison } from './measure.ts';

const many = 200_000;
const few = 10_000;
/** So many builds with few names are asked one after the other, for as many names in all. */
const buildsOfFew = many / few;
/** As flat-manager's clients do. */
const namesACall = 2000;

/** How many of the names that are asked for the build holds. */
const shares = { none: 0, half: 0.5, all: 1 } as const;
export type Held = keyof typeof shares;

export type MissingObjects = {
  readonly held: Held;
  readonly microseconds: Comparison;
  readonly namesPerSecond: number;
};

/**
 * What a name costs when a build is asked for the objects it lacks, in microseconds, with 200,000 names against 10,000,
 * asked in calls of 2,000. Every build is new to the server: what it reads of it first is counted. The builds are filled
 * in the server's own records before it starts: no byte of an object is stored.
 */
export async function benchMissingObjects(pairs: number): Promise<readonly MissingObjects[]> {
  const found: MissingObjects[] = [];
  for (const held of Object.keys(shares) as Held[]) {
    const { data, questions } = await filledBuilds(pairs + 1, held);
    const server = await startTestServer({ data, env: { LOG_LEVEL: 'error', SLUICE_RATE_PER_MINUTE: '1000000' } });
    try {
      const seen: { readonly ours: number; readonly theirs: number }[] = [];
      for (const pair of questions) seen.push(await askInTurn(server.url, pair));
      // The first one warms up.
      seen.shift();
      const microseconds = {
        ours: median(seen.map(({ ours }) => ours)),
        theirs: median(seen.map(({ theirs }) => theirs)),
        ratio: median(seen.map(({ ours, theirs }) => ours / theirs)),
      };
      found.push({ held, microseconds, namesPerSecond: 1e6 / microseconds.ours });
    } finally {
      await server.remove();
    }
  }
  return found;
}

type Question = { readonly build: number; readonly missing: number; readonly bodies: readonly Buffer[] };
type Pair = { readonly many: Question; readonly few: readonly Question[] };

async function filledBuilds(pairs: number, held: Held) {
  const data = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  const { records, close } = await openRecords({ folder: join(data, 'records') });
  const ports = { records, newId: v7, clock: Date.now };
  const question = async (names: number): Promise<Question> => {
    const { id: build } = await createUploadBuild(ports, { repo: 'stable', app: undefined, tokenName: 'bench' });
    const wanted = Array.from({ length: names }, namedEntry);
    const there = wanted.filter((_, index) => index % 2 < shares[held] * 2);
    await addEntries(ports, build, { kind: 'stored', entries: there });
    const bodies: Buffer[] = [];
    for (let at = 0; at < names; at += namesACall) bodies.push(bodyOf(wanted.slice(at, at + namesACall)));
    return { build, missing: names - there.length, bodies };
  };
  const questions: Pair[] = [];
  while (questions.length < pairs) {
    const fewOnes: Question[] = [];
    while (fewOnes.length < buildsOfFew) fewOnes.push(await question(few));
    questions.push({ many: await question(many), few: fewOnes });
  }
  await close();
  return { data, questions };
}

function namedEntry(): NamedEntry {
  const hex = randomBytes(32).toString('hex');
  return { name: `${hex}.dirmeta`, digest: `sha256:${hex}`, sizeBytes: 12 };
}

function bodyOf(entries: readonly NamedEntry[]): Buffer {
  return gzipSync(JSON.stringify({ wanted: entries.map(({ name }) => name) }));
}

/**
 * Microseconds a name. After each build with few names the build with many is asked for as many, so that what slows the
 * machine down for a moment slows both.
 */
async function askInTurn(url: string, { many: whole, few: parts }: Pair): Promise<{ ours: number; theirs: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const missing = { ours: 0, theirs: 0 };
  const seconds = { ours: 0, theirs: 0 };
  const ask = async (whose: 'ours' | 'theirs', build: number, bodies: readonly Buffer[]) => {
    seconds[whose] += await timed(async () => {
      for (const body of bodies) missing[whose] += await missingOf(url, { agent, build, body });
    });
  };
  const calls = whole.bodies.length / parts.length;
  for (const [at, part] of parts.entries()) {
    await ask('theirs', part.build, part.bodies);
    await ask('ours', whole.build, whole.bodies.slice(at * calls, (at + 1) * calls));
  }
  agent.destroy();
  const expected = parts.reduce((sum, part) => sum + part.missing, 0);
  if (missing.ours !== whole.missing || missing.theirs !== expected) throw new Error('Other objects are missing');
  return { ours: (seconds.ours * 1e6) / many, theirs: (seconds.theirs * 1e6) / many };
}

/** By Node's own client: `fetch` sends no GET with a body. */
async function missingOf(
  url: string,
  { agent, build, body }: { agent: Agent; build: number; body: Buffer },
): Promise<number> {
  const headers = {
    authorization: `Bearer ${testToken}`,
    'content-type': 'application/json',
    'content-encoding': 'gzip',
    'content-length': body.length,
  };
  const sent = request(`${url}/api/v1/build/${build}/missing_objects`, { method: 'GET', agent, headers });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  if (response.statusCode !== 200) throw new Error(`missing_objects answered ${response.statusCode}: ${text}`);
  return (JSON.parse(text) as { missing: readonly string[] }).missing.length;
}
