import type { Command } from 'commander';
import { addGroup, type Cli } from '../verb.ts';
import { addApply } from './apps-apply.ts';
import { addDelete } from './apps-delete.ts';
import { addDeployKey } from './apps-deploy-key.ts';
import { addAppsList } from './apps-list.ts';
import { addShow } from './apps-show.ts';

export function registerApps(program: Command, cli: Cli): void {
  const apps = addGroup(program, {
    name: 'apps',
    summary: 'Store, list, show and delete apps, and make their deploy keys',
  });
  addApply(apps, cli);
  addAppsList(apps, cli);
  addShow(apps, cli);
  addDelete(apps, cli);
  addDeployKey(apps, cli);
}
