import type { DeploymentView } from '../../functions/api/shapes.ts';
import type { Style, Tone } from '../style.ts';
import { printable } from '../terminal-text.ts';
import { span, timeOfDay } from '../times.ts';
import { requestText, statusText } from '../words.ts';
import type { BuildLine, TimelineEvent } from './reporter.ts';

/** The lines that people read while they follow, safe to print. */

export function headLine({ id, app, environment, request }: DeploymentView): string {
  return printable(`Deployment ${id}: ${app} to ${environment}, ${requestText(request)}`);
}

export function eventLine({ at, kind, target, text }: TimelineEvent, style: Style): string {
  const subject = target === undefined || text.includes(target) ? '' : `${target}: `;
  return `${style.paint('dim', timeOfDay(at))}  ${paintedBy(style, kind, printable(subject + text))}`;
}

export function buildLineText({ text }: BuildLine, style: Style): string {
  return `${style.paint('dim', '        |')} ${printable(text)}`;
}

/** How it ended, and what to do next when it did not succeed. */
export function endLines(view: DeploymentView, style: Style): readonly string[] {
  const took = view.endedAt === null ? '' : ` after ${span(Date.parse(view.endedAt) - Date.parse(view.createdAt))}`;
  if (view.status === 'succeeded') return [style.paint('good', `Deployment ${view.id} succeeded${took}.`)];
  const how = `Deployment ${view.id} ${ends[view.status] ?? statusText(view.status)}${took}`;
  const head = style.paint('bad', printable(view.reason === '' ? `${how}.` : `${how}: ${view.reason}`));
  const targets = view.targets
    .filter(({ reason }) => reason !== '' && !view.reason.includes(reason))
    .map(({ name, reason }) => printable(`  ${name}: ${reason}`));
  return [head, ...targets, `  More: sluice logs --deployment ${view.id}`];
}

const ends: Readonly<Record<string, string>> = {
  rolled_back: 'failed and was rolled back',
  failed: 'failed',
  cancelled: 'was cancelled',
  superseded: 'was superseded by a newer one',
};

function paintedBy(style: Style, kind: string, text: string): string {
  const tone: Readonly<Record<string, Tone>> = {
    succeeded: 'good',
    failed: 'bad',
    rolled_back: 'bad',
    rolling_back: 'bad',
    cancel: 'busy',
    cancelled: 'busy',
    superseded: 'busy',
  };
  const found = tone[kind];
  return found === undefined ? text : style.paint(found, text);
}
