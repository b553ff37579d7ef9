import { NotReachable } from './failures.ts';

/** What is made by one request is never asked for twice by itself, so whoever loses the answer is told how to look. */
export async function surely<T>(asked: Promise<T>, lostHint: string): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof NotReachable) || !error.mayBeDone) throw error;
    throw new NotReachable(error.message, {
      hint: `It may have been taken all the same; see: ${lostHint}`,
      cause: error,
    });
  }
}
