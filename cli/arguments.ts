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

/** An argument that commander has already made sure of. */
export function argument(args: readonly string[], index: number): string {
  const value = args[index];
  if (value === undefined) throw new WrongUse(`Argument ${index + 1} is missing.`);
  return value;
}
