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
import { compare, median, type Comparison } from './measure.ts';

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
 * asked in calls of 2,000, one after the other. Every build is new to the server: what it reads once is counted.
 * The builds are filled in the server's own records before it starts: no byte of an object is stored.
 */
export async function benchMissingObjects(pairs: number): Promise<readonly MissingObjects[]> {
  const found: MissingObjects[] = [];
  for (const held of Object.keys(shares) as Held[]) {
    const { data, questions } = await filledBuilds(pairs + 1, held);
    const server = await startTestServer({ data, env: { LOG_LEVEL: 'error', SLUICE_RATE_PER_MINUTE: '1000000' } });
    const perName: number[] = [];
    try {
      const microseconds = await compare(
        pairs,
        async () => {
          const microseconds = await ask(server.url, questions.many.splice(0, 1));
          perName.push(microseconds);
          return microseconds;
        },
        async () => await ask(server.url, questions.few.splice(0, buildsOfFew)),
      );
      found.push({ held, microseconds, namesPerSecond: 1e6 / median(perName.slice(1)) });
    } finally {
      await server.remove();
    }
  }
  return found;
}

type Question = { readonly build: number; readonly names: number; readonly missing: number; readonly bodies: Buffer[] };

async function filledBuilds(count: number, held: Held) {
  const data = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  const { records, close } = await openRecords({ folder: join(data, 'records') });
  const ports = { records, newId: v7, clock: Date.now };
  const questions = { many: [] as Question[], few: [] as Question[] };
  const question = async (names: number): Promise<Question> => {
    const { id: build } = await createUploadBuild(ports, { repo: 'stable', app: undefined, tokenName: 'bench' });
    const wanted = Array.from({ length: names }, namedEntry);
    const there = wanted.filter((_, index) => index % 2 < shares[held] * 2);
    await addEntries(ports, build, { kind: 'stored', entries: there });
    const bodies: Buffer[] = [];
    for (let at = 0; at < names; at += namesACall) bodies.push(bodyOf(wanted.slice(at, at + namesACall)));
    return { build, names, missing: names - there.length, bodies };
  };
  for (let n = 0; n < count; n += 1) {
    questions.many.push(await question(many));
    for (let each = 0; each < buildsOfFew; each += 1) questions.few.push(await question(few));
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

/** Microseconds a name, from the first call about the first build to the last answer about the last. */
async function ask(url: string, questions: readonly Question[]): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const began = performance.now();
  let names = 0;
  for (const question of questions) {
    let missing = 0;
    for (const body of question.bodies) missing += await missingOf(url, { agent, build: question.build, body });
    if (missing !== question.missing) throw new Error(`${missing} are missing, not ${question.missing}`);
    names += question.names;
  }
  const microseconds = (performance.now() - began) * 1000;
  agent.destroy();
  return microseconds / names;
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
