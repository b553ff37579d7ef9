import type { AppView, EnvironmentView } from '../functions/api/shapes.ts';
import { path, type Client } from './client.ts';

/** One environment of an app, or all of them in the order in which the app names them. */
export async function readEnvironments(
  client: Client,
  app: string,
  environment: string | undefined,
): Promise<readonly EnvironmentView[]> {
  const read = async (name: string) =>
    await client.get<EnvironmentView>(path`/api/v1/apps/${app}/environments/${name}`);
  if (environment !== undefined) return [await read(environment)];
  const { environments } = await client.get<AppView>(path`/api/v1/apps/${app}`);
  return await Promise.all(environments.map(async ({ name }) => await read(name)));
}
