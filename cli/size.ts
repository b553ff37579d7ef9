/** A number of bytes for people: `812 B`, `4.2 kB`, `45 MB`, `1.3 GB`; powers of 1,000. */
export function sizeText(bytes: number): string {
  const [unit, factor] = units.find(([, factor]) => bytes >= factor * 0.9995) ?? units[units.length - 1] ?? ['B', 1];
  const value = bytes / factor;
  return `${factor > 1 && value < 9.95 ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
}

const units: readonly (readonly [string, number])[] = [
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
  ['B', 1],
];

/** `1 object`, `2 objects`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
