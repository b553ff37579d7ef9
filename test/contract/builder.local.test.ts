import { bundleRequest, checkRequests, makeBuilds, makeSource } from '../support/builds.ts';
import { builderSuite } from './builder-suite.ts';

builderSuite('on this machine', async () => {
  const builds = await makeBuilds();
  const source = await makeSource();
  return {
    builder: builds.builder,
    bundle: (command, options) => bundleRequest({ repoUrl: source.url }, { command }, options),
    check: await checkRequests(builds.data),
    close: async () => {
      await builds.remove();
      await source.remove();
    },
  };
});
