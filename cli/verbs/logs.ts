import type { Command } from 'commander';
import { exitCodes } from '../exit.ts';
import { WrongUse } from '../failures.ts';
import { followDeployment } from '../follow/follow.ts';
import { showBuild } from '../logs/build-output.ts';
import { showDeployment } from '../logs/deployment-output.ts';
import { showTasks } from '../logs/task-output.ts';
import { addVerb, type Cli } from '../verb.ts';

type Options = { target?: string; follow?: boolean; build?: string; deployment?: string };

export function registerLogs(program: Command, cli: Cli): void {
  addVerb<Options>(program, cli, {
    usage: 'logs [app] [environment]',
    summary: 'Show what tasks, a build or a deployment have printed',
    details:
      'Of an environment it is what its tasks have written. Of a deployment it is the output of its build and its ' +
      'timeline; with --follow it is followed as by "sluice follow", with its exit codes.',
    examples: [
      ['sluice logs web dev', 'what the tasks of all targets have written'],
      ['sluice logs web dev --target web --follow', 'those of one target, on until Ctrl-C'],
      ['sluice logs --deployment 0197f6a2-…', 'what a deployment did, and its build'],
      ['sluice logs --build 0197f6a3-… --follow', 'the output of a build while it runs'],
    ],
    options: (command) =>
      command
        .option('--target <target>', 'only of this target')
        .option('--follow', 'go on while something is written')
        .option('--build <id>', 'the output of this build')
        .option('--deployment <id>', 'the output and timeline of this deployment'),
    run: async (session, [app, environment], { build, deployment, target, follow = false }) => {
      if ([app, build, deployment].filter((value) => value !== undefined).length !== 1) {
        throw new WrongUse('Give one of: an app (and its environment), --build, --deployment.');
      }
      if (target !== undefined && (build !== undefined || (deployment !== undefined && follow))) {
        throw new WrongUse('--target goes with an app, or with --deployment where that is not followed.');
      }
      if (app !== undefined) await showTasks(session, { app, environment, target, follow });
      else if (build !== undefined) await showBuild(session, build, { follow });
      else if (deployment !== undefined && follow) return await followDeployment(session, deployment);
      else if (deployment !== undefined) await showDeployment(session, deployment, target);
      return exitCodes.done;
    },
  });
}
