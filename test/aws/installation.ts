import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { emulatorAccount, type Emulator } from './emulator.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cdk = join(root, 'node_modules/aws-cdk/bin/cdk');

/** What `cdk deploy` tells after it, and a way to the HTTP API it made. */
export type Installation = {
  readonly outputs: Readonly<Record<'ApiUrl' | 'WebhookUrl' | 'StateMachineArn', string>>;
  /** The address of a path of the HTTP API. */
  readonly url: (path: string) => string;
};

/**
 * Installs the control plane as its README says, by the CDK CLI: `cdk bootstrap`, `cdk deploy` of the project's own CDK
 * app, code bundled anew. Only the credentials and the endpoint are the emulator's.
 */
export async function install(emulator: Emulator): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-install-'));
  try {
    const region = emulator.config.region;
    await runCdk(emulator, { folder, args: ['bootstrap', `aws://${emulatorAccount}/${region}`] });
    const outputsFile = join(folder, 'outputs.json');
    const out = ['--output', join(folder, 'cdk.out'), '--outputs-file', outputsFile];
    await runCdk(emulator, { folder, args: ['deploy', '--require-approval', 'never', ...out] });
    const written = JSON.parse(await readFile(outputsFile, 'utf8')) as Record<string, Installation['outputs']>;
    const [outputs] = Object.values(written);
    if (!outputs) throw new Error('cdk deploy told no outputs');
    return { outputs, url: (path) => `${emulator.endpoint}${stagePath(outputs.ApiUrl)}${path}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** By path: the host name that the API has is of no DNS. */
function stagePath(apiUrl: string): string {
  const apiId = new URL(apiUrl).hostname.split('.')[0];
  return `/_aws/execute-api/${apiId}/$default`;
}

async function runCdk(
  emulator: Emulator,
  { folder, args }: { readonly folder: string; readonly args: readonly string[] },
): Promise<void> {
  const env = {
    ...emulator.environment,
    PATH: [dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter),
    // Its caches and its credentials' file are looked for here, and nothing is there.
    HOME: folder,
    TMPDIR: folder,
    CI: 'true',
    CDK_DISABLE_VERSION_CHECK: '1',
  };
  const all = [cdk, ...args, '--no-notices', '--no-color'];
  await new Promise<void>((resolve, reject) => {
    execFile(process.execPath, all, { cwd: root, env, timeout: 240_000, maxBuffer: 1e8 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`cdk ${args.join(' ')}:\n${`${stdout}${stderr}`.slice(-6000)}`, { cause: error }));
      else resolve();
    });
  });
}
