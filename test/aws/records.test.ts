import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { sdkCalls } from '../../functions/aws/dynamo-calls.ts';
import { tableInput } from '../../functions/aws/record-requests.ts';
import { dynamoRecords } from '../../functions/aws/records.ts';
import { recordsSuite } from '../contract/records-suite.ts';
import { describeOnEmulator, startEmulator } from './emulator.ts';

const tableName = 'sluice';

describeOnEmulator('on an independent emulator', () => {
  recordsSuite("ministack's DynamoDB", async () => {
    const emulator = await startEmulator();
    if (!emulator) throw new Error('no emulator');
    const client = new DynamoDBClient(emulator.config);
    await client.send(new CreateTableCommand(tableInput(tableName)));
    client.destroy();
    return { port: dynamoRecords({ calls: sdkCalls(emulator.config), tableName }), close: emulator.close };
  });
});
