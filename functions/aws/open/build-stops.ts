import { CodeBuildClient } from '@aws-sdk/client-codebuild';
import type { WorkflowPorts } from '../../ports/ports.ts';
import { stopBuilds } from '../build-stop.ts';
import { slowCalls } from '../client.ts';
import type { PlaceWithRecords } from './place.ts';

export function openBuildStops(place: PlaceWithRecords): WorkflowPorts['builder'] {
  return stopBuilds({ ...place, client: new CodeBuildClient(slowCalls) });
}
