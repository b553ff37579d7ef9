import { InvalidArgumentError } from 'commander';
import { WrongUse } from './failures.ts';

/** Parsers of flags for commander: they answer with the value or throw what was expected. */

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
  };
}

export function sha256Hex(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('Expected 64 hex digits.');
}

export function digest(text: string): string {
  const hex = text.replace(/^sha256:/, '');
  if (/^[0-9a-f]{64}$/i.test(hex)) return `sha256:${hex.toLowerCase()}`;
  throw new InvalidArgumentError('Expected sha256: and 64 hex digits.');
}

export function httpUrl(text: string): string {
  const isWeb = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
  if (isWeb) return text;
  throw new InvalidArgumentError('Expected an http or https URL.');
}

/** `90`, `90s`, `30m`, `1h`, `7d`; answers with seconds. */
export function durationSeconds(text: string): number {
  const [, number = '', unit = 's'] = /^(\d{1,9})([smhd])?$/.exec(text) ?? [];
  const seconds = Number(number) * (secondsOf[unit] ?? 1);
  if (number !== '' && seconds > 0) return seconds;
  throw new InvalidArgumentError('Expected seconds, or a number and one of s, m, h, d: 90, 30m, 1h, 7d.');
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** An option that may be given several times. */
export function several(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

/** A point in time, in ISO 8601. */
export function isoInstant(text: string): string {
  const at = new Date(text);
  if (!Number.isNaN(at.getTime()) && /^\d{4}-\d{2}-\d{2}/.test(text)) return at.toISOString();
  throw new InvalidArgumentError('Expected a time such as 2026-11-20 or 2026-11-20T10:00:00Z.');
}

/** An argument that commander has already made sure of. */
export function argument(args: readonly string[], index: number): string {
  const value = args[index];
  if (value === undefined) throw new WrongUse(`Argument ${index + 1} is missing.`);
  return value;
}
