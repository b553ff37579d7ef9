import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { ControlPlaneStack } from '../infra/control-plane-stack.ts';
import type { Template } from '../infra/cost.ts';
import { stageNamed } from '../infra/stages.ts';

/** The template of a stage without its code, for what can be told from it offline. */
export async function stackTemplate(stage?: string): Promise<Template> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-template-'));
  try {
    const code = { functions: join(folder, 'functions'), agent: join(folder, 'agent') };
    // The code makes no difference: an empty folder stands for it.
    for (const path of Object.values(code)) {
      await mkdir(path);
      await writeFile(join(path, 'empty'), '');
    }
    const app = new App({ outdir: join(folder, 'out'), analyticsReporting: false });
    const stack = new ControlPlaneStack(app, 'cost', { config: stageNamed(stage), code });
    return app.synth().getStackArtifact(stack.artifactId).template as Template;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
