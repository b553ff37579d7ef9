import { CfnOutput, type Stack } from 'aws-cdk-lib';
import type { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import type { ControlSecrets } from './secrets.ts';

export type OutputsOptions = {
  readonly url: string;
  readonly secrets: ControlSecrets;
  readonly stateMachineArn: string;
};

/** What a person needs after `cdk deploy`; no secret among it, only the commands that show one. */
export function tellOutputs(stack: Stack, { url, secrets, stateMachineArn }: OutputsOptions): void {
  const read = (secret: Secret) =>
    `aws secretsmanager get-secret-value --region ${stack.region} --secret-id ${secret.secretName} --query SecretString --output text`;
  const outputs = {
    ApiUrl: ['What SLUICE_URL is to be', url],
    WebhookUrl: ["The payload URL of GitHub's webhook", `${url}/webhooks/github`],
    AdminTokenCommand: ['Shows what SLUICE_TOKEN is to be', read(secrets.adminToken)],
    WebhookSecretCommand: ["Shows the secret of GitHub's webhook", read(secrets.webhookSecret)],
    StateMachineArn: ['The state machine of deployments', stateMachineArn],
  } as const;
  for (const [name, [description, value]] of Object.entries(outputs))
    new CfnOutput(stack, name, { description, value });
}
