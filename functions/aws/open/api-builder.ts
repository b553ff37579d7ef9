import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { CodeBuildClient } from '@aws-sdk/client-codebuild';
import type { ApiPorts } from '../../ports/ports.ts';
import { readBuildLogs } from '../build-logs.ts';
import { readyToBuild } from '../build-start.ts';
import { stopBuilds } from '../build-stop.ts';
import { quickCalls, slowCalls } from '../client.ts';
import type { PlaceWithRecords } from './place.ts';

export function openApiBuilder(given: PlaceWithRecords): ApiPorts['builder'] {
  const place = { ...given, client: new CodeBuildClient(slowCalls), logs: new CloudWatchLogsClient(quickCalls) };
  // API Gateway waits for 30 s, and to delete an app is to stop its build and its tasks; whoever cancels goes on without the end.
  return { ...stopBuilds({ ...place, looks: 5 }), ...readBuildLogs(place), ...readyToBuild(place) };
}
