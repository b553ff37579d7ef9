import { Option, type Command } from 'commander';
import { argument, several, wholeNumber } from '../arguments.ts';
import { buildIdOf } from '../builds/address.ts';
import { commitBuild } from '../builds/commit.ts';
import { publishBuild } from '../builds/publish.ts';
import { exitCodes } from '../exit.ts';
import { push, type Push } from '../push/push.ts';
import { addVerb, type Cli } from '../verb.ts';

type Options = {
  kind: Push['kind'];
  name?: string;
  refBranch?: string;
  branch: readonly string[];
  parallel: number;
  commit?: boolean;
  publish?: boolean;
  follow: boolean;
};

export function registerPush(program: Command, cli: Cli): void {
  addVerb<Options>(program, cli, {
    usage: 'push <build> <path>',
    summary: 'Push an image, a folder or an OSTree repository to a build',
    details:
      'The path is an OCI image layout (a folder, or a tar of it), what "docker save" wrote, a folder that becomes an ' +
      'application bundle, or an OSTree repository in archive mode. Only what the server does not have is sent, large ' +
      'things in parts straight to the storage, several at once. After an interruption the same call goes on where it was.',
    examples: [
      ['sluice push 7 web.tar', 'what "docker save web:1.2 -o web.tar" wrote; later only the layers that changed'],
      ['sluice push 7 dist --kind bundle --publish', 'a folder, and brings it live'],
      ['sluice push https://deploy.example.com/api/v1/build/7 layout', 'the build by its URL'],
      ['sluice push 7 repo --branch app/org.example.Hello/x86_64/stable', 'one ref of an OSTree repository'],
    ],
    options: addOptions,
    run: async (session, args, options) => {
      const { connection } = await session.client();
      const build = buildIdOf(argument(args, 0), connection);
      const { kind, name, refBranch, branch: branches, parallel } = options;
      await push(session, { build, path: argument(args, 1), kind, name, branch: refBranch, branches, parallel });
      if (!options.commit && !options.publish) {
        session.note(`Commit it when all is pushed: sluice commit ${build}`);
        return exitCodes.done;
      }
      const committed = await commitBuild(session, { build, dropStrays: false });
      if (committed !== exitCodes.done || !options.publish) return committed;
      return await publishBuild(session, { build, follow: options.follow });
    },
  });
}

function addOptions(command: Command): void {
  const kinds = ['auto', 'image', 'bundle', 'ostree'];
  command
    .addOption(new Option('--kind <kind>', 'what the path is').choices(kinds).default('auto'))
    .option('--name <name>', "the name in its ref; default: the build's app")
    .option('--ref-branch <branch>', "the branch in its ref; default: the build's environment")
    .addOption(
      new Option('--branch <ref>', 'only this ref of an OSTree repository; may be repeated')
        .argParser(several)
        .default([], 'all'),
    )
    .addOption(new Option('--parallel <count>', 'requests at once').argParser(wholeNumber(1, 32)).default(4))
    .option('--commit', 'commit the build afterwards')
    .option('--publish', 'commit and publish it, and follow its deployment')
    .option('--no-follow', 'with --publish: return as soon as that is taken');
}
