import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { folderSecrets } from '../../local/secrets.ts';
import { secretsSuite } from './secrets-suite.ts';

secretsSuite('a folder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-secrets-'));
  return {
    port: folderSecrets({ folder: join(folder, 'secrets'), newId: () => crypto.randomUUID() }),
    close: async () => await rm(folder, { recursive: true }),
  };
});
