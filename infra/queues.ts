import { Duration } from 'aws-cdk-lib';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { queueName } from './names.ts';
import { queuedNames, type QueuedName } from './permissions.ts';

/** Where events go that a function could not be called with, or failed on every time: a person looks at them. */
export class DeadLetterQueues extends Construct {
  readonly queues: Readonly<Record<QueuedName, Queue>>;

  constructor(scope: Construct, id: string, prefix: string) {
    super(scope, id);
    this.queues = Object.fromEntries(
      queuedNames.map((name) => [
        name,
        new Queue(this, name, {
          queueName: queueName(prefix, name),
          encryption: QueueEncryption.SQS_MANAGED,
          enforceSSL: true,
          retentionPeriod: Duration.days(14),
        }),
      ]),
    ) as unknown as Record<QueuedName, Queue>;
    for (const queue of Object.values(this.queues)) acknowledge(queue, ...lastResort);
  }
}

const reason = 'It is a dead-letter queue itself, of EventBridge and of Lambda; nothing takes from it but people.';
const lastResort = [
  { id: 'AwsSolutions-SQS3', reason },
  { id: 'Serverless-SQSRedrivePolicy', reason },
];
