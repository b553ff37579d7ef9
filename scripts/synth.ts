import { rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { ControlPlaneStack, type ControlPlaneProps } from '../infra/control-plane-stack.ts';
import { definitionIssues, type Template } from '../infra/definition-issues.ts';
import { ExampleStack } from '../infra/example-stack.ts';
import { stackName } from '../infra/names.ts';
import { stages } from '../infra/stages.ts';
import { validatedApp } from '../infra/validated-app.ts';
import { messageOf } from '../functions/runtime/errors.ts';
import { buildCode } from './build-code.ts';

const root = join(import.meta.dirname, '..');

/**
 * `npm run synth`: writes the CloudFormation templates of every stage, each with the example of an app's stack, offline,
 * and fails for whatever CloudFormation, cdk-nag or Step Functions would have to say against one. Answers with the
 * templates' paths.
 */
export async function synthesize({ outDir, code }: SynthesisOptions): Promise<readonly string[]> {
  // A report that is left from before would be read as this one's.
  await rm(outDir, { recursive: true, force: true });
  const written: string[] = [];
  for (const [stage, config] of Object.entries(stages)) {
    const app = validatedApp({ outdir: join(outDir, stage) });
    new ControlPlaneStack(app, stackName(config.prefix), { config, code });
    new ExampleStack(app, `${config.prefix}-example`, { prefix: config.prefix });
    written.push(...templatesOf(app.synth()));
  }
  return written;
}

export type SynthesisOptions = { readonly outDir: string; readonly code: ControlPlaneProps['code'] };

function templatesOf(assembly: CloudAssembly): readonly string[] {
  return assembly.stacks.map((stack) => {
    const issues = definitionIssues(stack.template as Template);
    if (issues.length > 0) throw new Error(`The state machine of ${stack.stackName} is wrong: ${issues.join('; ')}`);
    return stack.templateFullPath;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    for (const path of await synthesize({ outDir: join(root, 'cdk.out'), code: await buildCode() }))
      console.log(`wrote ${relative(root, path)}`);
  } catch (error) {
    console.error(`The templates were not written: ${messageOf(error)}`);
    process.exitCode = 1;
  }
}
