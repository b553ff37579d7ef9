import type { EpochMs } from '../runtime/units.ts';

/**
 * Answers a question again, for so many seconds, as it was answered before; a question that fails is asked anew. It keeps
 * the last thousand answers, in this process only.
 *
 * ```ts
 * const build = recently<Build>({ clock, seconds: 3 });
 * await build(id, async () => await describe(id));
 * ```
 */
export function recently<T>(options: { readonly clock: () => EpochMs; readonly seconds: number }) {
  const answers = new Map<string, { readonly at: EpochMs; readonly answer: T }>();
  return async (question: string, ask: () => Promise<T>): Promise<T> => {
    const known = answers.get(question);
    if (known && options.clock() - known.at < options.seconds * 1000) return known.answer;
    const answer = await ask();
    answers.delete(question);
    answers.set(question, { at: options.clock(), answer });
    if (answers.size > 1000) answers.delete(answers.keys().next().value ?? '');
    return answer;
  };
}
