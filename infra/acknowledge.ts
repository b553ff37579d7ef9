import { Stack, Validations } from 'aws-cdk-lib';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference.js';
import type { IConstruct } from 'constructs';
import type { Grant } from './permissions.ts';

/** A finding of a check that stays, and why. */
export type Acknowledgement = { readonly id: string; readonly reason: string };

/** Says of a construct, and of what it holds, why a finding of cdk-nag is as it should be. */
export function acknowledge(construct: IConstruct, ...findings: readonly Acknowledgement[]): void {
  Validations.of(construct).acknowledge(...findings);
}

/** Every wide resource of a role's grants, one by one, with the reason that its grant has; a new one is a new finding. */
export function acknowledgeGrants(construct: IConstruct, grants: readonly Grant[]): void {
  const wide = grants.flatMap((grant) =>
    'within' in grant ? grant.within.map((resource) => ({ resource, because: grant.because })) : [],
  );
  for (const { resource, because } of wide) {
    const flat = flattenCfnReference(Stack.of(construct).resolve(resource) as string);
    acknowledge(construct, { id: `AwsSolutions-IAM5[Resource::${flat}]`, reason: because });
  }
}
