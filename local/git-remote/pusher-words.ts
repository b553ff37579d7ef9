import type { RefChange } from './push-payload.ts';
import type { Told } from './tell.ts';

type Pushed = { readonly change: RefChange; readonly app: string; readonly url: string; readonly cloneUrl: string };

/** What the pusher reads of one ref, line by line; Git puts `remote: ` before each. */
export function pusherWords(told: Told, { change, app, url, cloneUrl }: Pushed): readonly string[] {
  const name = change.ref.replace(/^refs\/(?:heads|tags)\//, '');
  if (told.kind === 'failed') {
    return [
      `Sluice: WARNING: ${name} is stored here, but the control plane did not take the news: ${told.reason}`,
      'Sluice: It is told again when the server starts next. To deploy now:',
      `Sluice:   sluice deploy ${app} <environment> --git-ref ${name}`,
    ];
  }
  if (told.deployments.length === 0) {
    const isElsewhere = told.message.startsWith('No app has its source in');
    const hint = isElsewhere ? [`Sluice: To deploy from here, set the source.repoUrl of ${app} to ${cloneUrl}`] : [];
    return [`Sluice: ${name}: nothing is deployed. ${told.message}`, ...hint];
  }
  const news = told.message === '' ? [] : [`Sluice: ${told.message}`];
  const deployments = told.deployments.flatMap(({ id, app, environment }) => [
    `Sluice: ${name} → ${app}/${environment}: deployment ${id}`,
    `Sluice:   sluice follow ${id}`,
    `Sluice:   ${url}/api/v1/deployments/${id}`,
  ]);
  return [...news, ...deployments];
}
