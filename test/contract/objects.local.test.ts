import { openTestObjects } from '../support/objects.ts';
import { objectsSuite } from './objects-suite.ts';

objectsSuite('a folder', async () => {
  const { objects, reopen, close } = await openTestObjects();
  return { port: objects, reopen, close };
});
