import type { Records } from '../../ports/records.ts';
import { sdkCalls } from '../dynamo-calls.ts';
import { dynamoRecords } from '../records.ts';
import type { Place } from './place.ts';

export function openRecords({ table, clock }: Pick<Place, 'table' | 'clock'>): Records {
  return dynamoRecords({ calls: sdkCalls(), tableName: table, clock });
}
