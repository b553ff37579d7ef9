import { ECRClient } from '@aws-sdk/client-ecr';
import { slowCalls } from '../client.ts';

/** In a file of its own, so that it is loaded when it is asked for, and no call of it that nobody makes. */
export function openRegistry(): ECRClient {
  return new ECRClient(slowCalls);
}
