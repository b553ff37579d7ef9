import type { Command } from 'commander';
import { addGroup, type Cli } from '../verb.ts';
import { addTokensList } from './tokens-list.ts';
import { addRevoke } from './tokens-revoke.ts';

export function registerTokens(program: Command, cli: Cli): void {
  const tokens = addGroup(program, { name: 'tokens', summary: 'List tokens that were minted, and revoke them' });
  addTokensList(tokens, cli);
  addRevoke(tokens, cli);
}
