import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { ControlPlaneStack } from '../infra/control-plane-stack.ts';
import { costTable, idleCost, type Template } from '../infra/cost.ts';
import { stageNamed } from '../infra/stages.ts';

/** `npm run cost [stage]`: prints what an installation costs while nothing happens, as docs/aws.md has it. */
const folder = await mkdtemp(join(tmpdir(), 'sluice-cost-'));
try {
  const code = { functions: join(folder, 'functions'), agent: join(folder, 'agent') };
  // The code makes no difference: an empty folder stands for it.
  for (const path of Object.values(code)) {
    await mkdir(path);
    await writeFile(join(path, 'empty'), '');
  }
  const app = new App({ outdir: join(folder, 'out'), analyticsReporting: false });
  const stack = new ControlPlaneStack(app, 'cost', { config: stageNamed(process.argv[2]), code });
  const template = app.synth().getStackArtifact(stack.artifactId).template as Template;
  console.log(costTable(idleCost(template)));
} finally {
  await rm(folder, { recursive: true, force: true });
}
