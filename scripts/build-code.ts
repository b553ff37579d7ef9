import { join } from 'node:path';
import { buildAgent } from './build-agent.ts';
import { buildFunctions } from './build-functions.ts';

const dist = join(import.meta.dirname, '../dist');

/** Bundles all code that the control plane's stack installs, always anew, and tells in which folders it is. */
export async function buildCode(): Promise<{ functions: string; agent: string }> {
  const code = { functions: join(dist, 'functions'), agent: join(dist, 'agent') };
  await Promise.all([
    buildFunctions(code.functions),
    buildAgent(join(code.agent, 'agent.mjs'), 'buildspecs/aws-agent.ts'),
  ]);
  return code;
}
