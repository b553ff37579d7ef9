import type { Artifact } from '../../functions/artifacts/artifact.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { imageTagsArguments, imageUsersArguments, removeImagesArguments } from './container-commands.ts';

/** Asks the engine's client; `failure` is the first line of what it complains of. */
export type AskEngine = (args: readonly string[]) => Promise<{ output: string; failure?: string }>;

/**
 * Takes an image of an app from the engine: its own tags (`sluice-{app}:…`), and with the last of them the image itself.
 * One that other names lead to, or that another image is built on, stays for those. One that is gone is no error.
 * Throws `Problem('conflict')`, and removes nothing, when a container uses it, be it a stopped one.
 */
export async function discardImage(ask: AskEngine, { app, reference }: Artifact): Promise<void> {
  const tags = await tagsOf(ask, reference);
  if (tags === undefined) return;
  const users = await asked(ask, imageUsersArguments(reference));
  if (users !== '') throw inUse(reference, 'a container uses it');
  const own = tags.filter((tag) => isTagOf(app, tag));
  const others = tags.length > own.length;
  // By the id when there is no tag: what then stays is what another image is built on.
  const names = own.length > 0 ? own : others ? [] : [reference];
  if (names.length === 0) return;
  const { failure } = await ask(removeImagesArguments(names));
  if (failure === undefined || isGone(failure) || /dependent child/i.test(failure)) return;
  if (/conflict|in use|being used/i.test(failure)) throw inUse(reference, failure);
  throw notAnswering(failure);
}

/** Undefined when there is no such image. */
async function tagsOf(ask: AskEngine, reference: string): Promise<readonly string[] | undefined> {
  const { output, failure } = await ask(imageTagsArguments(reference));
  if (failure === undefined) return output.split('\n').filter((tag) => tag !== '');
  if (isGone(failure)) return undefined;
  throw notAnswering(failure);
}

async function asked(ask: AskEngine, args: readonly string[]): Promise<string> {
  const { output, failure } = await ask(args);
  if (failure !== undefined) throw notAnswering(failure);
  return output;
}

/** Podman puts `localhost/` in front. */
function isTagOf(app: string, tag: string): boolean {
  return tag.replace(/^localhost\//, '').startsWith(`sluice-${app}:`);
}

const isGone = (failure: string) => /no such image|image not known/i.test(failure);

function inUse(reference: string, why: string): Problem {
  return new Problem('conflict', `The image ${reference} cannot be removed: ${why}`);
}

function notAnswering(failure: string): Problem {
  return new Problem('busy', `The container engine does not remove an image: ${failure}`);
}
