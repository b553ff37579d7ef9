import { RemovalPolicy } from 'aws-cdk-lib';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { adminTokenSecret, secretName, webhookSecretSecret } from '../functions/runtime/aws-names.ts';
import { acknowledge } from './acknowledge.ts';

/** The control plane's own two secrets. Secrets Manager makes them up: no value is in a template or on a machine. */
export class ControlSecrets extends Construct {
  readonly adminToken: Secret;
  readonly webhookSecret: Secret;

  constructor(scope: Construct, id: string, prefix: string) {
    super(scope, id);
    this.adminToken = this.generated('AdminToken', {
      name: secretName(prefix, adminTokenSecret),
      description: 'The token of the administrator of Sluice',
    });
    this.webhookSecret = this.generated('WebhookSecret', {
      name: secretName(prefix, webhookSecretSecret),
      description: 'What GitHub signs its deliveries to Sluice with',
    });
  }

  private generated(
    id: string,
    { name, description }: { readonly name: string; readonly description: string },
  ): Secret {
    const secret = new Secret(this, id, {
      secretName: name,
      description,
      // Letters and digits go through every form and header; 48 of them are 285 bits.
      generateSecretString: { passwordLength: 48, excludePunctuation: true },
      // Either can be made anew, so a deleted installation leaves no credential behind.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    acknowledge(secret, rotation);
    return secret;
  }
}

const rotation = {
  id: 'AwsSolutions-SMG4',
  reason:
    'The other half is with people and with GitHub, where no function of ours can change it; docs/aws.md says how both are rotated by hand.',
};
