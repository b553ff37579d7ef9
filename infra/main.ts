import { buildCode } from '../scripts/build-code.ts';
import { Problem } from '../functions/runtime/errors.ts';
import { ControlPlaneStack } from './control-plane-stack.ts';
import { ExampleStack } from './example-stack.ts';
import { stackName } from './names.ts';
import { stageNamed } from './stages.ts';
import { validatedApp } from './validated-app.ts';

/** What the CDK CLI runs: the stack of the stage that `-c stage=…` names, with `-c example=true` an app's as well. */
async function synthesize(): Promise<void> {
  const app = validatedApp();
  const config = stageNamed(app.node.tryGetContext('stage'));
  new ControlPlaneStack(app, stackName(config.prefix), { config, code: await buildCode() });
  if (app.node.tryGetContext('example')) new ExampleStack(app, `${config.prefix}-example`, { prefix: config.prefix });
  app.synth();
}

try {
  await synthesize();
} catch (error) {
  // A wrong configuration is a sentence, and no stack of calls.
  if (!(error instanceof Problem)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
