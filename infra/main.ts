import { buildCode } from '../scripts/build-code.ts';
import { ControlPlaneStack } from './control-plane-stack.ts';
import { ExampleStack } from './example-stack.ts';
import { stackName } from './names.ts';
import { stageNamed } from './stages.ts';
import { validatedApp } from './validated-app.ts';

const app = validatedApp();
const config = stageNamed(app.node.tryGetContext('stage'));
new ControlPlaneStack(app, stackName(config.prefix), { config, code: await buildCode() });
if (app.node.tryGetContext('example')) new ExampleStack(app, `${config.prefix}-example`, { prefix: config.prefix });
app.synth();
