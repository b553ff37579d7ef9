import { styleText } from 'node:util';
import type { Output, World } from './world.ts';

export type Tone = 'good' | 'bad' | 'busy' | 'dim' | 'bold';

/** How output looks where it goes to. */
export type Style = {
  /** Whether lines may be drawn again in place; plain lines without any code elsewhere. */
  readonly live: boolean;
  /** The width to keep to; undefined where there is none. */
  readonly columns: number | undefined;
  readonly paint: (tone: Tone, text: string) => string;
};

/** Codes are for a person's terminal only: not for pipes, CI, `NO_COLOR` (https://no-color.org), dumb terminals or `--json`. */
export function styleOf(output: Output, env: World['env'], json: boolean): Style {
  const set = (name: string) => (env[name] ?? '') !== '';
  const live = output.isTerminal && !json && !set('NO_COLOR') && !isTrue(env['CI']) && env['TERM'] !== 'dumb';
  return {
    live,
    columns: output.isTerminal ? output.columns() : undefined,
    paint: live ? (tone, text) => styleText(formats[tone], text, { validateStream: false }) : (_tone, text) => text,
  };
}

/** The tone of a deployment's, target's or task's state. */
export function toneOf(status: string): Tone {
  if (['succeeded', 'serving', 'ready'].includes(status)) return 'good';
  if (['failed', 'rolled_back', 'revert_failed', 'reverted', 'rolling_back'].includes(status)) return 'bad';
  return ['cancelled', 'superseded', 'waiting', 'queued'].includes(status) ? 'dim' : 'busy';
}

const formats = { good: 'green', bad: 'red', busy: 'yellow', dim: 'dim', bold: 'bold' } as const;

function isTrue(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== 'false' && value !== '0';
}
