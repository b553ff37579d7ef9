import { Command } from 'commander';
import { exitCodes, type ExitCode } from './exit.ts';
import { reportFailure } from './report.ts';
import type { Cli } from './verb.ts';
import type { World } from './world.ts';

type Register = (program: Command, cli: Cli) => void | Promise<void>;
type Entry = { readonly summary: string; readonly load: () => Promise<Register>; readonly alias?: string };

/** Every verb by name, in the order of help. A verb's module is loaded only when it is called: start-up stays quick. */
const verbs: Readonly<Record<string, Entry>> = {
  apps: {
    summary: 'Store, list, show and delete apps, and make their deploy keys',
    load: async () => (await import('./verbs/apps.ts')).registerApps,
  },
  secrets: {
    summary: 'Write, list and remove the secrets of an app',
    load: async () => (await import('./verbs/secrets.ts')).registerSecrets,
  },
  deploy: {
    summary: 'Deploy to an environment and follow it to its end',
    load: async () => (await import('./verbs/deploy.ts')).registerDeploy,
  },
  follow: {
    summary: 'Follow a deployment to its end',
    load: async () => (await import('./verbs/follow.ts')).registerFollow,
  },
  status: {
    summary: 'Show what runs in an environment, and what waits for it',
    load: async () => (await import('./verbs/status.ts')).registerStatus,
  },
  list: {
    summary: 'List deployments, the newest first',
    load: async () => (await import('./verbs/list.ts')).registerList,
    alias: 'deployments',
  },
  logs: {
    summary: 'Show what tasks, a build or a deployment have printed',
    load: async () => (await import('./verbs/logs.ts')).registerLogs,
  },
  rollback: {
    summary: 'Bring back the last good revision of an environment',
    load: async () => (await import('./verbs/rollback.ts')).registerRollback,
  },
  cancel: {
    summary: 'Cancel a deployment and undo what it changed',
    load: async () => (await import('./verbs/cancel.ts')).registerCancel,
  },
  scale: {
    summary: 'Set how many tasks a target keeps',
    load: async () => (await import('./verbs/scale.ts')).registerScale,
  },
  create: {
    summary: 'Create a build to push to, and print its URL',
    load: async () => (await import('./verbs/create.ts')).registerCreate,
  },
  push: {
    summary: 'Push an image, a folder or an OSTree repository to a build',
    load: async () => (await import('./verbs/push.ts')).registerPush,
  },
  commit: {
    summary: 'Commit a build: verify all that was pushed, and make it one artifact',
    load: async () => (await import('./verbs/commit.ts')).registerCommit,
  },
  publish: {
    summary: 'Publish a committed build to its environment, and follow its deployment',
    load: async () => (await import('./verbs/publish.ts')).registerPublish,
  },
  promote: {
    summary: "Bring what is published in an environment's parent to the environment",
    load: async () => (await import('./verbs/promote.ts')).registerPromote,
  },
  published: {
    summary: 'Show what was published in an environment, the newest first',
    load: async () => (await import('./verbs/published.ts')).registerPublished,
  },
  republish: {
    summary: 'Deploy what an environment has published there once more',
    load: async () => (await import('./verbs/republish.ts')).registerRepublish,
  },
  review: {
    summary: 'Say how a check is to count that waits for a review',
    load: async () => (await import('./verbs/review.ts')).registerReview,
  },
  hooks: {
    summary: 'List calls of hooks that were given up, and call again',
    load: async () => (await import('./verbs/hooks.ts')).registerHooks,
  },
  builds: {
    summary: 'List builds, by Git and by upload, the newest first',
    load: async () => (await import('./verbs/builds.ts')).registerBuilds,
  },
  purge: {
    summary: 'Forget a build, and what was pushed to it',
    load: async () => (await import('./verbs/purge.ts')).registerPurge,
  },
  prune: {
    summary: 'Free the room of what nothing needs any more',
    load: async () => (await import('./verbs/prune.ts')).registerPrune,
  },
  'follow-job': {
    summary: 'Follow a job of the builds service to its end',
    load: async () => (await import('./verbs/follow-job.ts')).registerFollowJob,
  },
  'create-token': {
    summary: 'Mint a token that can do less than the one it is made by',
    load: async () => (await import('./verbs/create-token.ts')).registerCreateToken,
  },
  tokens: {
    summary: 'List tokens that were minted, and revoke them',
    load: async () => (await import('./verbs/tokens.ts')).registerTokens,
  },
  audit: {
    summary: 'Show who did what, from where, and how it ended, the newest first',
    load: async () => (await import('./verbs/audit.ts')).registerAudit,
  },
  health: {
    summary: 'Check the control plane, or the targets of an app',
    load: async () => (await import('./verbs/health.ts')).registerHealth,
  },
  completion: {
    summary: 'Print the completion script of a shell',
    load: async () => (await import('./verbs/completion.ts')).registerCompletion,
  },
};

/** Runs one call of `sluice`; answers with the code to exit with, and throws only for defects. */
export async function runCli(args: readonly string[], world: World): Promise<ExitCode> {
  const cli: Cli = { world, exitCode: exitCodes.done };
  const program = createProgram(world);
  try {
    await addVerbs({ program, cli, args });
    await program.parseAsync([...args], { from: 'user' });
    return cli.exitCode;
  } catch (error) {
    return reportFailure(error, world, asksForJson(args));
  }
}

/** Every verb with all its options; completion needs them. */
export async function loadAllVerbs(program: Command, cli: Cli): Promise<void> {
  const loaded = await Promise.all(
    Object.entries(verbs)
      .filter(([name]) => name !== 'completion')
      .map(([, { load }]) => load()),
  );
  for (const register of loaded) await register(program, cli);
}

function createProgram({ version, stdout, stderr }: World): Command {
  const width = (output: typeof stdout) => (output.isTerminal ? output.columns() : 100);
  return new Command('sluice')
    .description('From a git push to a drained, health-gated rolling deploy.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      // Failures are told in one place, `reportFailure`.
      outputError: () => {},
      getOutHelpWidth: () => width(stdout),
      getErrHelpWidth: () => width(stderr),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText('after', helpText);
}

async function addVerbs({
  program,
  cli,
  args,
}: {
  program: Command;
  cli: Cli;
  args: readonly string[];
}): Promise<void> {
  const called = args[0] === 'help' ? args[1] : args[0];
  const entry = called === undefined ? undefined : findVerb(called);
  if (entry) return await (await entry.load())(program, cli);
  for (const [name, { summary, alias }] of Object.entries(verbs)) {
    const stub = program.command(name).description(summary);
    if (alias !== undefined) stub.alias(alias);
  }
}

function findVerb(name: string): Entry | undefined {
  if (name === 'complete') return verbs['completion'];
  if (Object.hasOwn(verbs, name)) return verbs[name];
  return Object.values(verbs).find(({ alias }) => alias === name);
}

function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).includes('--json');
}

const helpText = `
"sluice <verb> --help" tells more, with examples. Every verb but completion takes --json.

Where the API is:
  SLUICE_URL      its address; a path in front of the API is kept (https://host/sluice)
  SLUICE_TOKEN    the token to show
  SLUICE_DATA     the data folder of the local server (default: the nearest .sluice, from here upwards),
                  by which both are found when they are not set

Exit codes:
  0    done; of a followed deployment: it succeeded
  1    it failed: the deployment ended as anything but succeeded, or a commit or another job failed
  2    wrong use: an unknown verb or flag, a missing argument, or something the API refuses (400, 401, 403, 404, 409)
  3    not reachable: no connection, no answer in time, a server error after retries, or a control plane not ready
  130  interrupted by Ctrl-C`;
