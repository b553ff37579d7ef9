import { buildCode } from '../scripts/build-code.ts';
import { ControlPlaneStack } from './control-plane-stack.ts';
import { stageNamed } from './stages.ts';
import { validatedApp } from './validated-app.ts';

const app = validatedApp();
const config = stageNamed(app.node.tryGetContext('stage'));
new ControlPlaneStack(app, `${config.prefix}-control-plane`, { config, code: await buildCode() });
app.synth();
