import type { Command } from 'commander';
import type { BuildView } from '../../functions/api/build-shapes.ts';
import { argument } from '../arguments.ts';
import { buildIdOf } from '../builds/address.ts';
import { nameOf, repoStates } from '../builds/states.ts';
import { path, type Client } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { Refused } from '../failures.ts';
import { untilInterrupted } from '../logs/until-interrupted.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerPurge(program: Command, cli: Cli): void {
  addVerb(program, cli, {
    usage: 'purge <build>',
    summary: 'Forget a build, and what was pushed to it',
    details: 'What was published of it stays: the artifact is kept for as long as something may run it.',
    examples: [['sluice purge 7', 'a build that is not needed any more']],
    run: async (session, args) => {
      const client = await session.client();
      const id = buildIdOf(argument(args, 0), client.connection);
      await ask(client, id);
      const build = await untilInterrupted(session.world, 'Stopped waiting; the purge goes on.', async (signal) => {
        for (;;) {
          const found = await client.get<BuildView>(path`/api/v1/build/${id}`, { signal });
          if (found.repo_state !== repoStates.purging) return found;
          await session.world.pause(1000, signal);
        }
      });
      if (session.json) session.document(build);
      else session.line(`Build ${id} is ${nameOf(repoStates, build.repo_state)}.`);
      return build.repo_state === repoStates.purged ? exitCodes.done : exitCodes.failed;
    },
  });
}

/** Whoever purges what is being purged waits for that; another refusal is one. */
async function ask(client: Client, id: string): Promise<void> {
  try {
    await client.request({ method: 'POST', path: path`/api/v1/build/${id}/purge`, body: {}, idempotent: true });
  } catch (error) {
    if (!(error instanceof Refused) || error.problem.status !== 400) throw error;
    const { repo_state } = await client.get<BuildView>(path`/api/v1/build/${id}`);
    if (repo_state !== repoStates.purging && repo_state !== repoStates.purged) throw error;
  }
}
