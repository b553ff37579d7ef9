import type { EpochMs } from '../functions/runtime/units.ts';

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** A length of time for people: `0.8 s`, `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`;
  if (Math.round(seconds) < minute) return `${Math.round(seconds)} s`;
  if (Math.round(seconds) < hour) return twoUnits(Math.round(seconds), [minute, 'min', 1, 's']);
  if (seconds < day) return twoUnits(Math.floor(seconds), [hour, 'h', minute, 'min']);
  return twoUnits(Math.floor(seconds), [day, 'd', hour, 'h']);
}

/** When something was, seen from `now`: `just now`, `5 min ago`, `3 h ago`; a date from two weeks on. */
export function ago(time: string, now: EpochMs): string {
  const seconds = (now - Date.parse(time)) / 1000;
  if (Number.isNaN(seconds)) return '-';
  if (seconds < 10) return 'just now';
  if (seconds < minute) return `${Math.floor(seconds)} s ago`;
  if (seconds < hour) return `${Math.floor(seconds / minute)} min ago`;
  if (seconds < 2 * day) return `${Math.floor(seconds / hour)} h ago`;
  if (seconds < 14 * day) return `${Math.floor(seconds / day)} d ago`;
  return new Date(time).toISOString().slice(0, 10);
}

/** The time of day here, `14:03:09`. */
export function timeOfDay(time: string): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return '--:--:--';
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

function twoUnits(seconds: number, [large, largeName, small, smallName]: [number, string, number, string]): string {
  const rest = Math.floor((seconds % large) / small);
  const whole = `${Math.floor(seconds / large)} ${largeName}`;
  return rest === 0 ? whole : `${whole} ${rest} ${smallName}`;
}
