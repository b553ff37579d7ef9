import type { Command } from 'commander';
import { addGroup, type Cli } from '../verb.ts';
import { addSecretsList } from './secrets-list.ts';
import { addRemove } from './secrets-remove.ts';
import { addSet } from './secrets-set.ts';

export function registerSecrets(program: Command, cli: Cli): void {
  const secrets = addGroup(program, { name: 'secrets', summary: 'Write, list and remove the secrets of an app' });
  addSet(secrets, cli);
  addSecretsList(secrets, cli);
  addRemove(secrets, cli);
}
