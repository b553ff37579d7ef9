import { join } from 'node:path';
import { findApp } from '../../functions/apps/registry.ts';
import type { Records } from '../../functions/ports/records.ts';
import { messageOf } from '../../functions/runtime/errors.ts';
import type { Log } from '../../functions/runtime/log.ts';
import type { Environment } from './environment.ts';
import { gitIn, type RefChange, type Repository } from './push-payload.ts';
import { repositoriesIn } from './repository.ts';
import { tellPush, toldRef, type Webhook } from './tell.ts';

export type Retelling = Omit<Webhook, 'retries'> & {
  readonly folder: string;
  readonly git: Environment;
  readonly records: Records;
  readonly log: Log;
};

/** Tells the control plane of every ref that is another than it was told of last. */
export async function retellPushes(retelling: Retelling): Promise<void> {
  const { folder, git, url, log } = retelling;
  for (const app of await repositoriesIn(folder)) {
    if (!(await findApp(retelling.records, app))) continue;
    const path = join(folder, `${app}.git`);
    const env = { ...git, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: path };
    const repository = { path, app, cloneUrl: `${url}/git/${app}.git`, env };
    try {
      for (const change of await untold(repository)) {
        const told = await tellPush({ ...retelling, retries: true }, repository, { change, pusher: 'git' });
        if (told.kind === 'told') log.info('a push was told after all', { app, ref: change.ref });
        else log.warn('a push could not be told', { app, ref: change.ref, reason: told.reason });
      }
    } catch (error) {
      log.error('a repository could not be read', { app, error: messageOf(error) });
    }
  }
}

async function untold(repository: Repository): Promise<readonly RefChange[]> {
  const format = '--format=%(objectname) %(refname)';
  const shown = await gitIn(repository, ['for-each-ref', format, 'refs/heads', 'refs/tags', toldRef('')]);
  const ids = new Map(
    shown.split('\n').flatMap((line): [string, string][] => {
      const [id, ref] = line.split(' ');
      return id && ref ? [[ref, id]] : [];
    }),
  );
  const told = [...ids.keys()].filter((ref) => ref.startsWith(toldRef('')));
  const refs = new Set([
    ...[...ids.keys()].filter((ref) => !told.includes(ref)),
    ...told.map((ref) => `refs/${ref.slice(toldRef('').length)}`),
  ]);
  const zeros = '0'.repeat([...ids.values()][0]?.length ?? 40);
  return [...refs]
    .map((ref) => ({ ref, before: ids.get(toldRef(ref)) ?? zeros, after: ids.get(ref) ?? zeros }))
    .filter(({ before, after }) => before !== after);
}
