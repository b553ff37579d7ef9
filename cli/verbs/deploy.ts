import { Option, type Command } from 'commander';
import type { AppView, DeploymentView } from '../../functions/api/shapes.ts';
import { argument, digest, httpUrl, sha256Hex } from '../arguments.ts';
import { path, type Client } from '../client.ts';
import { WrongUse } from '../failures.ts';
import { addVerb, type Cli } from '../verb.ts';
import { startDeployment } from '../start-deployment.ts';

type Options = {
  gitRef?: string;
  image?: string;
  artifact?: string;
  fetch?: string;
  sha256?: string;
  follow: boolean;
};

export function registerDeploy(program: Command, cli: Cli): void {
  addVerb<Options>(program, cli, {
    usage: 'deploy <app> <environment>',
    summary: 'Deploy to an environment and follow it to its end',
    details:
      "Without a flag that says what, the environment's branch is built, or else the app's ref. Ctrl-C stops following, not the " +
      'deployment. Exits with 0 only if it succeeded (with --no-follow: was taken).',
    examples: [
      ['sluice deploy web dev', 'builds what a push to its branch would bring'],
      ['sluice deploy web dev --git-ref v1.2.3', 'a branch, a tag or a commit'],
      ['sluice deploy web dev --image ghcr.io/acme/web:1.2.3', 'an image that is there already'],
      ['sluice deploy web stable --artifact sha256:… --no-follow', 'an artifact built before; does not wait'],
      ['sluice deploy web dev --fetch https://example.com/web.tgz --sha256 …', 'an archive from a URL'],
    ],
    options: addOptions,
    run: async (session, args, options) => {
      const [app, environment] = [argument(args, 0), argument(args, 1)];
      const given = whatIsGiven(options);
      return await startDeployment(session, {
        follow: options.follow,
        start: async (client) => {
          const what = given ?? { source: { ref: await refOf(client, app, environment) } };
          const body = { app, environment, ...what };
          return await client.send<DeploymentView>('POST', '/api/v1/deployments', { body });
        },
        lostHint: `sluice list --app ${app} --environment ${environment}`,
      });
    },
  });
}

function addOptions(command: Command): void {
  const only = (option: Option, others: readonly string[]) => command.addOption(option.conflicts([...others]));
  only(new Option('--git-ref <ref>', 'build this branch, tag or commit'), ['image', 'artifact', 'fetch']);
  only(new Option('--image <reference>', 'deploy this image'), ['gitRef', 'artifact', 'fetch']);
  only(new Option('--artifact <digest>', 'deploy this artifact').argParser(digest), ['gitRef', 'image', 'fetch']);
  only(new Option('--fetch <url>', 'deploy the archive at this URL; needs --sha256').argParser(httpUrl), [
    'gitRef',
    'image',
    'artifact',
  ]);
  command.option('--sha256 <hex>', 'what the archive must be', sha256Hex);
  command.option('--no-follow', 'return as soon as the deployment is queued');
}

function whatIsGiven({ gitRef, image, artifact, fetch, sha256 }: Options): object | undefined {
  if ((fetch === undefined) !== (sha256 === undefined)) {
    throw new WrongUse('--fetch and --sha256 go together: the archive is taken only if it is what you expect.');
  }
  if (gitRef !== undefined) return { source: { ref: gitRef } };
  if (image !== undefined) return { image };
  if (artifact !== undefined) return { artifact };
  return fetch === undefined ? undefined : { fetch: { url: fetch, sha256 } };
}

/** What a push would bring there: the environment's branch, or where that is a glob or missing, the app's own ref. */
async function refOf(client: Client, app: string, environment: string): Promise<string> {
  const { environments, source } = await client.get<AppView>(path`/api/v1/apps/${app}`);
  const found = environments.find(({ name }) => name === environment);
  if (!found) {
    const names = environments.map(({ name }) => name).join(', ');
    throw new WrongUse(`App ${app} has no environment ${environment}. It has: ${names}.`);
  }
  if (!source) throw new WrongUse(`App ${app} has no source: give --image, --artifact or --fetch.`);
  return found.branch !== undefined && !/[*?[\]{},!]/.test(found.branch) ? found.branch : source.ref;
}
