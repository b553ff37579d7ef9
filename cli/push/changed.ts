import { WrongUse } from '../failures.ts';
import type { PushObject } from './package.ts';

/** What was read is not what the object's name says: what was sent of it can never become the object. */
export function changedMeanwhile({ label, source }: PushObject): WrongUse {
  const where = 'file' in source && source.file !== label ? ` (${source.file})` : '';
  return new WrongUse(`${label}${where} is not what its digest says: it changed while it was pushed, or is damaged.`, {
    hint: 'Push again when nothing writes there. What was sent of it is refused by its digest.',
  });
}
