/** Thrown when an answer has not come in time; the work it was to come from goes on. */
export class TimeLimitPassed extends Error {
  override readonly name = 'TimeLimitPassed';
}

/** What the work gives, if it does so within the time; else throws `TimeLimitPassed`. */
export async function withinTime<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeLimitPassed(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
