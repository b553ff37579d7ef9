import { text } from 'node:stream/consumers';
import { pusherWords } from './pusher-words.ts';
import { tellPush } from './tell.ts';

/**
 * Git's post-receive hook, a process of its own: every ref that a push changed is told to the control plane as GitHub
 * would, and the pusher reads what comes of it. The push itself has been taken by now, whatever happens here.
 * https://git-scm.com/docs/githooks#post-receive
 */
const { SLUICE_HOOK_URL, SLUICE_HOOK_SECRET, SLUICE_HOOK_APP, SLUICE_HOOK_PUSHER, ...env } = process.env;
const url = SLUICE_HOOK_URL ?? '';
const app = SLUICE_HOOK_APP ?? '';
const cloneUrl = `${url}/git/${app}.git`;
const repository = { path: process.cwd(), app, cloneUrl, env };
const secret = SLUICE_HOOK_SECRET ?? '';
// A server that did not answer for one ref does not for a hundred.
let retries = true;

// A pusher who has gone away does not read on; what was pushed is told all the same.
process.stdout.on('error', () => {});

for (const line of (await text(process.stdin)).split('\n')) {
  const [before, after, ref] = line.split(' ');
  if (!before || !after || !ref) continue;
  const change = { ref, before, after };
  const told = await tellPush({ url, secret, retries }, repository, { change, pusher: SLUICE_HOOK_PUSHER ?? 'git' });
  retries = told.kind === 'told';
  const words = pusherWords(told, { change, app, url, cloneUrl });
  process.stdout.write(`${words.join('\n')}\n`);
}
