import { CfnOutput, type Stack } from 'aws-cdk-lib';
import { adminTokenSecret, secretName, webhookSecretSecret } from '../functions/runtime/aws-names.ts';

export type OutputsOptions = {
  readonly url: string;
  readonly prefix: string;
  readonly stateMachineArn: string;
  readonly jobMachineArn: string;
};

/** What a person needs after `cdk deploy`; no secret among it, only the commands that show one. */
export function tellOutputs(stack: Stack, { url, prefix, ...machines }: OutputsOptions): void {
  const read = (secret: string) =>
    `aws secretsmanager get-secret-value --region ${stack.region} --secret-id ${secretName(prefix, secret)} --query SecretString --output text`;
  const outputs = {
    ApiUrl: ['What SLUICE_URL is to be', url],
    WebhookUrl: ["The payload URL of GitHub's webhook", `${url}/webhooks/github`],
    AdminTokenCommand: ['Shows what SLUICE_TOKEN is to be', read(adminTokenSecret)],
    WebhookSecretCommand: ["Shows the secret of GitHub's webhook", read(webhookSecretSecret)],
    DashboardUrl: [
      'How it is doing, in the console',
      `https://console.aws.amazon.com/cloudwatch/home?region=${stack.region}#dashboards/dashboard/${prefix}`,
    ],
    StateMachineArn: ['The state machine of deployments', machines.stateMachineArn],
    JobMachineArn: ['The state machine of jobs', machines.jobMachineArn],
  } as const;
  for (const [name, [description, value]] of Object.entries(outputs))
    new CfnOutput(stack, name, { description, value });
}
