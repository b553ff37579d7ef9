import type { Command } from 'commander';
import type { BuildView } from '../../functions/api/build-shapes.ts';
import { argument, httpUrl } from '../arguments.ts';
import { buildUrl } from '../builds/address.ts';
import { exitCodes } from '../exit.ts';
import { surely } from '../surely.ts';
import { addVerb, type Cli } from '../verb.ts';

export function registerCreate(program: Command, cli: Cli): void {
  addVerb<{ buildLogUrl?: string }>(program, cli, {
    usage: 'create <app> <environment>',
    summary: 'Create a build to push to, and print its URL',
    details:
      'For what was built elsewhere: create, push, commit, publish. The build is for that environment alone. The other ' +
      'verbs take the URL, or the number at its end.',
    examples: [
      ['sluice create web dev', 'prints the URL of the new build'],
      ['build=$(sluice create web dev) && sluice push "$build" image.tar --publish', 'creates, pushes and publishes'],
    ],
    options: (command) => command.option('--build-log-url <url>', 'where it was built, for people', httpUrl),
    run: async (session, args, { buildLogUrl }) => {
      const [app, environment] = [argument(args, 0), argument(args, 1)];
      const client = await session.client();
      const log = buildLogUrl === undefined ? {} : { 'build-log-url': buildLogUrl };
      const body = { repo: environment, 'app-id': app, ...log };
      const asked = client.send<BuildView>('POST', '/api/v1/build', { body });
      const build = await surely(asked, `sluice builds --app ${app} --environment ${environment}`);
      const url = buildUrl(build.id, client.connection);
      if (session.json) session.document({ ...build, url });
      else session.line(url);
      return exitCodes.done;
    },
  });
}
