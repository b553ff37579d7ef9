import { cpus, release, totalmem, type } from 'node:os';
import { execa } from 'execa';
import { findEngine } from '../../local/engine.ts';
import { benchColdStart } from './cold-start.ts';
import { benchDeliveries } from './deliveries.ts';
import type { Comparison } from './measure.ts';
import { benchMissingObjects } from './missing-objects.ts';
import { benchOneLayerChange } from './one-layer-change.ts';
import { benchMemory, benchOrchestration } from './orchestration.ts';
import { benchProxy } from './proxy.ts';
import { benchPushToLive } from './push-to-live.ts';
import { benchServerMemory } from './server-memory.ts';
import { benchUploadThroughput } from './upload-throughput.ts';

/**
 * `npm run bench`: each figure is the median of pairs measured in turn on one machine, told as a ratio. Nothing here
 * fails for being slow: a machine may be, and a goal that is missed is printed as missed. `BENCH_BASE_IMAGE` names the
 * image to build on; without an engine or that image the image's part is left out, and said so.
 */
const pairs = Number(process.env['BENCH_PAIRS'] ?? 5);
const say = (text: string) => void process.stdout.write(`${text}\n`);
const only = process.argv.slice(2);
const wanted = (name: string) => only.length === 0 || only.includes(name);

const engine = await findEngine('auto', process.env);
const base = process.env['BENCH_BASE_IMAGE'] ?? 'node:24-alpine';
const hasBase =
  engine !== undefined && (await execa(engine.bin, ['image', 'inspect', base], { reject: false })).exitCode === 0;
const [cpu] = cpus();
say(`${cpus().length} × ${cpu?.model ?? 'unknown'}, ${Math.round(totalmem() / 1024 ** 3)} GiB, ${type()} ${release()}`);
say(
  `Node ${process.version}, ${(await execa('git', ['--version'])).stdout}, ${engine ? `${engine.kind}${engine.buildKit ? ' with BuildKit' : ''}` : 'no container engine'}`,
);
say(`Medians of ${pairs} pairs, ours and theirs in turn\n`);

type Line = {
  readonly name: string;
  readonly unit: string;
  readonly goal: string;
  readonly meets: (ratio: number) => boolean;
};
const show = ({ name, unit, goal, meets }: Line, { ours, theirs, ratio }: Comparison) =>
  say(
    `${name}\n  ours ${ours.toFixed(3)} ${unit}, theirs ${theirs.toFixed(3)} ${unit}, ratio ${ratio.toFixed(2)} ${goal === 'none' ? '' : ` (goal ${goal}: ${meets(ratio) ? 'met' : 'missed'})`}`,
  );

const atMost = (limit: number) => ({ goal: `≤ ${limit.toFixed(2)}`, meets: (ratio: number) => ratio <= limit });
const atLeast = (limit: number) => ({ goal: `≥ ${limit.toFixed(2)}`, meets: (ratio: number) => ratio >= limit });
if (wanted('bundle')) {
  show(
    { name: 'push to live, a bundle, against a shell script', unit: 's', ...atMost(1.1) },
    await benchPushToLive('bundle', pairs),
  );
}
if (wanted('image')) {
  if (engine && hasBase) {
    show(
      { name: 'push to live, an image, against a shell script', unit: 's', ...atMost(1.1) },
      await benchPushToLive('image', pairs, { engine, base }),
    );
  } else
    say(
      `push to live, an image: left out, ${engine ? `the image ${base} is not here (BENCH_BASE_IMAGE)` : 'no container engine answers'}`,
    );
}
if (wanted('deliveries')) {
  show(
    { name: 'deliveries accepted, against a bare route with the same HMAC and writes', unit: '/s', ...atLeast(0.6) },
    await benchDeliveries(pairs),
  );
}
if (wanted('orchestration')) {
  show(
    { name: 'orchestration of one deployment, 1,000 apps against 1', unit: 's', ...atMost(1.1) },
    await benchOrchestration(pairs),
  );
}
const told = { goal: 'none', meets: () => true };
if (wanted('proxy')) {
  show(
    { name: 'requests answered through the proxy, against the task itself', unit: '/s', ...told },
    await benchProxy(pairs),
  );
}
if (wanted('memory')) {
  show(
    { name: 'resident memory of the idle server, against an empty Node process', unit: 'MiB', ...told },
    await benchMemory(),
  );
}
if (wanted('cold-start')) {
  // One import takes tens of milliseconds, of which another process may take any part: more pairs than elsewhere.
  for (const found of await benchColdStart(pairs * 5)) {
    const { name, entryBytes, eagerBytes, wholeBytes, againstEmpty, againstBare } = found;
    const [entry, eager, whole] = [entryBytes, eagerBytes, wholeBytes].map(
      (bytes) => `${Math.round(bytes / 1024)} KiB`,
    );
    say(`the function ${name}: entry ${entry}, with what it loads at once ${eager}, whole ${whole}`);
    show({ name: '  its cold import, against an empty module', unit: 'ms', ...told }, againstEmpty);
    const goal = name === 'api' ? atMost(1.1) : told;
    show({ name: '  its cold import, against hono with a DynamoDB client alone', unit: 'ms', ...goal }, againstBare);
  }
}
if (wanted('one-layer-change')) {
  show(
    { name: 'bytes moved by a push after one layer of eight changed, against new bytes', unit: 'KiB', ...atMost(1.02) },
    await benchOneLayerChange(),
  );
}
if (wanted('missing-objects')) {
  for (const { held, microseconds, namesPerSecond } of await benchMissingObjects(pairs)) {
    const name = `time per name of missing_objects, 200,000 names against 10,000, the build holds ${held}`;
    show({ name, unit: 'µs', ...atMost(1.2) }, microseconds);
    say(`  ${Math.round(namesPerSecond).toLocaleString('en')} names a second with 200,000`);
  }
}
if (wanted('upload-throughput')) {
  const { throughput, by } = await benchUploadThroughput(pairs);
  show({ name: `throughput of sluice push, 2 GiB, against ${by}`, unit: 'MiB/s', ...atLeast(0.8) }, throughput);
}
if (wanted('server-memory')) {
  for (const { way, before, highest, second, last, slope, seconds } of await benchServerMemory()) {
    const name = `resident memory of the server, the fourth of 4 GB against the second, ${way}`;
    show({ name, unit: 'MiB', ...atMost(1.1) }, { ours: last, theirs: second, ratio: last / second });
    const more = `${before.toFixed(0)} MiB before, at most ${(highest - before).toFixed(0)} more`;
    say(`  ${more}; from 1 GB to 4 GB ${slope.toFixed(1)} MiB more with each; ${(4000 / seconds).toFixed(0)} MB/s`);
  }
}
if (wanted('aws-deployment')) {
  // It loads CDK, which the other measures do without.
  const { benchAwsDeployment } = await import('./aws-deployment.ts');
  for (const line of await benchAwsDeployment()) say(line);
}
