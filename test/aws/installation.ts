import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { emulatorAccount, type Emulator } from './emulator.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cdk = join(root, 'node_modules/aws-cdk/bin/cdk');

/** What `cdk deploy` tells after it, and a way to the HTTP API it made. */
export type Installation = {
  readonly outputs: Readonly<Record<'ApiUrl' | 'WebhookUrl' | 'StateMachineArn' | 'JobMachineArn', string>>;
  /** The address of a path of the HTTP API. */
  readonly url: (path: string) => string;
};

export type Installed = { readonly emulator: Emulator; readonly installation: Installation };

/**
 * Installs the control plane as its README says, by the CDK CLI: `cdk bootstrap`, then `cdk deploy` of what the
 * project's own CDK app synthesised, code bundled anew. The credentials and the endpoint are the emulator's, and so are
 * the alarms that it does not know how to make.
 */
export async function install(emulator: Emulator): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-install-'));
  try {
    const { region } = emulator.config;
    const [assembly, outputsFile] = [join(folder, 'cdk.out'), join(folder, 'outputs.json')];
    await runCdk(emulator, { folder, cwd: folder, args: ['bootstrap', `aws://${emulatorAccount}/${region}`] });
    await runCdk(emulator, { folder, cwd: root, args: ['synth', '--quiet', '--output', assembly] });
    await replaceMetricMath(assembly);
    const asked = ['--require-approval', 'never', '--outputs-file', outputsFile];
    await runCdk(emulator, { folder, cwd: folder, args: ['deploy', '--app', assembly, ...asked] });
    const written = JSON.parse(await readFile(outputsFile, 'utf8')) as Record<string, Installation['outputs']>;
    const [outputs] = Object.values(written);
    if (!outputs) throw new Error('cdk deploy told no outputs');
    return { outputs, url: (path) => `${emulator.endpoint}${stagePath(outputs.ApiUrl)}${path}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type Template = {
  readonly Resources: Record<string, { readonly Type: string; readonly Properties: Readonly<Record<string, unknown>> }>;
};

/** ministack's CloudFormation refuses alarms on more than one metric; each becomes one on a single metric here. */
async function replaceMetricMath(assembly: string): Promise<void> {
  const names = (await readdir(assembly)).filter((name) => name.endsWith('.template.json'));
  for (const name of names) {
    const file = join(assembly, name);
    const template = JSON.parse(await readFile(file, 'utf8')) as Template;
    for (const [id, { Type, Properties }] of Object.entries(template.Resources)) {
      const { Metrics, ...others } = Properties;
      if (Type !== 'AWS::CloudWatch::Alarm' || Metrics === undefined) continue;
      const metric = { Namespace: 'InPlaceOfMetricMath', MetricName: id, Statistic: 'Sum', Period: 60 };
      template.Resources[id] = { Type, Properties: { ...others, ...metric } };
    }
    await writeFile(file, JSON.stringify(template));
  }
}

/** By path: the host name that the API has is of no DNS. */
function stagePath(apiUrl: string): string {
  const apiId = new URL(apiUrl).hostname.split('.')[0];
  return `/_aws/execute-api/${apiId}/$default`;
}

async function runCdk(
  emulator: Emulator,
  given: { readonly folder: string; readonly cwd: string; readonly args: readonly string[] },
): Promise<void> {
  const { folder, cwd, args } = given;
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
    execFile(process.execPath, all, { cwd, env, timeout: 240_000, maxBuffer: 1e8 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`cdk ${args.join(' ')}:\n${`${stdout}${stderr}`.slice(-6000)}`, { cause: error }));
      else resolve();
    });
  });
}
