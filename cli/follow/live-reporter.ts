import type { DeploymentView } from '../../functions/api/shapes.ts';
import type { EpochMs } from '../../functions/runtime/units.ts';
import type { Session } from '../session.ts';
import { toneOf } from '../style.ts';
import { printable } from '../terminal-text.ts';
import { span } from '../times.ts';
import { pad, widthOf } from '../width.ts';
import { countsText, shortCountsText, statusText } from '../words.ts';
import { createLiveRegion, type Line } from './live-region.ts';
import type { Reporter, TimelineEvent } from './reporter.ts';
import { buildLineText, endLines, eventLine, headLine } from './sentences.ts';

/** The timeline and the build's lines run upwards; beneath them stands a line per target, always as it is now. */
export function createLiveReporter({ world, style }: Session): Reporter {
  const region = createLiveRegion(world.stdout, style);
  const spans = new Map<string, { readonly from: EpochMs; to: EpochMs }>();
  let current: DeploymentView | undefined;
  let connected = true;
  const draw = () => {
    if (current) region.show(regionLines(current, { now: world.clock(), connected, spans }));
  };
  const turn = (value: boolean) => {
    connected = value;
    draw();
  };
  return {
    view: (view) => {
      if (!current) region.print([headLine(view)]);
      current = view;
      draw();
    },
    event: (event) => {
      rememberSpan(spans, event);
      region.print([eventLine(event, style)]);
    },
    buildLine: (_build, line) => region.print([buildLineText(line, style)]),
    lost: () => turn(false),
    found: () => turn(true),
    note: (text) => region.print([style.paint('dim', printable(text))]),
    end: (view) => {
      region.close();
      for (const line of endLines(view, style)) world.stdout.write(`${line}\n`);
    },
    close: region.close,
  };
}

type Spans = ReadonlyMap<string, { readonly from: EpochMs; readonly to: EpochMs }>;

function rememberSpan(
  spans: Map<string, { readonly from: EpochMs; to: EpochMs }>,
  { target, at }: TimelineEvent,
): void {
  if (target === undefined) return;
  const time = Date.parse(at);
  const known = spans.get(target);
  if (known) known.to = time;
  else spans.set(target, { from: time, to: time });
}

type Moment = { readonly now: EpochMs; readonly connected: boolean; readonly spans: Spans };

function regionLines(view: DeploymentView, { now, connected, spans }: Moment): readonly Line[] {
  const head: Line = [
    { text: `${view.app} ${view.environment}`, tone: 'bold' },
    { text: '  ' },
    { text: statusText(view.status), tone: toneOf(view.status) },
    { text: `  ${span((view.endedAt === null ? now : Date.parse(view.endedAt)) - Date.parse(view.createdAt))}` },
    ...(connected ? [] : [{ text: '  connection lost, trying again', tone: 'bad' as const }]),
  ];
  const nameWidth = Math.max(0, ...view.targets.map(({ name }) => widthOf(printable(name))));
  return [
    head.map((cell) => ({ ...cell, text: printable(cell.text) })),
    ...view.targets.map((target) => targetLine(target, { nameWidth, now, spans })),
  ];
}

function targetLine(
  { name, status, counts }: DeploymentView['targets'][number],
  { nameWidth, now, spans }: { nameWidth: number; now: EpochMs; spans: Spans },
): Line {
  const state = printable(targetStates[status] ?? statusText(status));
  const known = spans.get(name);
  const running = status === 'in_progress' || status === 'failed';
  const elapsed = known && status !== 'waiting' ? span((running ? now : known.to) - known.from) : '';
  return [
    { text: `  ${pad(printable(name), nameWidth)}  ` },
    { text: pad(state, 13), short: state, tone: toneOf(status) },
    { text: counts ? `  ${countsText(counts)}` : '', short: counts ? `  ${shortCountsText(counts)}` : '' },
    { text: elapsed === '' ? '' : `  ${elapsed}`, tone: 'dim' },
  ];
}

/** A target whose rollout failed is being put back until it is `reverted`. */
const targetStates: Readonly<Record<string, string>> = {
  in_progress: 'rolling',
  succeeded: 'done',
  failed: 'putting back',
  reverted: 'put back',
  revert_failed: 'not put back',
};
