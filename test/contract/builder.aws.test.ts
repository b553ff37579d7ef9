import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { CodeBuildClient } from '@aws-sdk/client-codebuild';
import { codeBuildBuilder } from '../../functions/aws/builder.ts';
import { slowCalls } from '../../functions/aws/client.ts';
import { bundleRequest, checkRequests, makeBuilds, makeSource, wholeLog, type Builds } from '../support/builds.ts';
import { openTestRecords } from '../support/records.ts';
import { scriptAws, testAwsConfig } from '../support/scripted-aws.ts';
import { scriptedCodeBuild, scriptedPrefix, type BuildWork } from '../support/scripted-codebuild.ts';
import { builderSuite } from './builder-suite.ts';

/**
 * The builds really run, by the local builder, which runs the very buildspecs; each under CodeBuild's id of it, so that
 * two runs of one build would be two. A limit below CodeBuild's five minutes is kept by the machine that stands in.
 */
function realWork({ builder }: Builds): BuildWork {
  return {
    start: (id, { kind, spec }) => void builder.start({ kind, spec: { ...spec, buildId: id } }),
    observe: async (id) => {
      const observed = await builder.observe(id);
      return observed.status === 'unknown' ? { status: 'running', phase: 'submitted' } : observed;
    },
    stop: (id) => void builder.stop(id),
    log: async (id) => await wholeLog(builder, id),
  };
}

builderSuite('CodeBuild and CloudWatch Logs, scripted', async () => {
  const builds = await makeBuilds();
  const source = await makeSource();
  const stores = await openTestRecords();
  const { script } = scriptedCodeBuild(realWork(builds));
  const config = { ...slowCalls, ...testAwsConfig };
  const began = Date.now();
  const options = {
    client: scriptAws(new CodeBuildClient(config), script),
    logs: scriptAws(new CloudWatchLogsClient(config), script),
    records: stores.records,
    prefix: scriptedPrefix,
    roleArnPrefix: `arn:aws:iam::123456789012:role/${scriptedPrefix}/build/${scriptedPrefix}-build-`,
    // What is waited for passes in a hundredth of the time.
    clock: () => began + (Date.now() - began) * 100,
    // A command that ignores SIGTERM is killed 2 s later.
    pauseMs: 500,
  };
  return {
    builder: codeBuildBuilder(options),
    bundle: (command, limits) => bundleRequest({ repoUrl: source.url }, { command }, limits),
    check: await checkRequests(builds.data),
    close: async () => {
      await builds.remove();
      await source.remove();
      await stores.close();
    },
  };
});
