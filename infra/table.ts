import { RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, BillingMode, ProjectionType, Table, TableEncryption } from 'aws-cdk-lib/aws-dynamodb';
import type { Construct } from 'constructs';

const text = (name: string) => ({ name, type: AttributeType.STRING });
/** As `functions/aws/record-requests.ts` asks by them; a test compares the two. */
const indexes = ['list', 'open', 'lookup'];

/**
 * All state of the control plane. Paid by request, so nothing when nothing happens; kept when the stack is deleted, and
 * not to be deleted before its protection is lifted by hand.
 */
export class RecordsTable extends Table {
  constructor(scope: Construct, id: string) {
    super(scope, id, {
      partitionKey: text('pk'),
      sortKey: text('sk'),
      billingMode: BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      encryption: TableEncryption.DEFAULT,
      timeToLiveAttribute: 'expiresAt',
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    for (const index of indexes) {
      this.addGlobalSecondaryIndex({
        indexName: index,
        partitionKey: text(`${index}Pk`),
        sortKey: text(`${index}Sk`),
        projectionType: ProjectionType.ALL,
      });
    }
  }
}
