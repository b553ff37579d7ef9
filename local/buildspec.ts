import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { parse } from 'yaml';

export const phaseNames = ['install', 'pre_build', 'build', 'post_build'] as const;
export type PhaseName = (typeof phaseNames)[number];

const commands = v.array(v.string());
const phaseSchema = v.strictObject({ commands, finally: v.optional(commands, []) });
const variableName = v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/));

/**
 * What this runner knows of a buildspec, version 0.2. Anything else is refused rather than left out in silence:
 * https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
 */
const buildspecSchema = v.strictObject({
  version: v.literal(0.2),
  env: v.optional(
    v.strictObject({
      variables: v.optional(v.record(variableName, v.string()), {}),
      'exported-variables': v.optional(v.array(variableName), []),
    }),
    {},
  ),
  phases: v.strictObject({
    install: v.optional(phaseSchema),
    pre_build: v.optional(phaseSchema),
    build: v.optional(phaseSchema),
    post_build: v.optional(phaseSchema),
  }),
});
export type Buildspec = v.InferOutput<typeof buildspecSchema>;

/** Reads a buildspec file; throws when it says something that this runner does not know. */
export async function readBuildspec(path: string): Promise<Buildspec> {
  const result = v.safeParse(buildspecSchema, parse(await readFile(path, 'utf8')));
  if (result.success) return result.output;
  const wrong = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`);
  throw new Error(`The buildspec ${path} is not one this runner knows: ${wrong.join('; ')}`);
}
