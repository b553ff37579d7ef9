import type { Emulator } from './emulator.ts';

type Request = Omit<RequestInit, 'headers'> & { readonly headers?: Readonly<Record<string, string>> };

/** What of an installed stack is read of services for which Sluice itself has no SDK client. */
export type FunctionConfiguration = {
  readonly Runtime: string;
  readonly Architectures: readonly string[];
  readonly Handler: string;
  readonly Role: string;
  readonly Timeout: number;
  readonly TracingConfig?: { readonly Mode: string };
  readonly DeadLetterConfig?: { readonly TargetArn: string };
  readonly Environment: { readonly Variables: Readonly<Record<string, string>> };
  readonly LoggingConfig?: { readonly LogGroup: string };
};
export type PolicyStatement = {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: object;
};
export type EventRule = {
  readonly Name: string;
  readonly State: string;
  readonly EventPattern?: string;
  readonly ScheduleExpression?: string;
  readonly Targets: readonly { readonly Arn: string; readonly DeadLetterConfig?: { readonly Arn: string } }[];
};

export type DeployedResource = { readonly Type: string; readonly Properties: Readonly<Record<string, unknown>> };

/** Reads as the services' own protocols are; for an emulator that checks no signatures. */
export function installedIn(emulator: Emulator) {
  async function ask(service: string, path: string, init: Request = {}): Promise<Response> {
    const { region, credentials } = emulator.config;
    // Of the signature it is the scope that tells the emulator which service is meant.
    const scope = `Credential=${credentials.accessKeyId}/20260101/${region}/${service}/aws4_request`;
    const answer = await fetch(`${emulator.endpoint}${path}`, {
      ...init,
      headers: { ...init.headers, authorization: `AWS4-HMAC-SHA256 ${scope}, SignedHeaders=host, Signature=0` },
    });
    if (!answer.ok) throw new Error(`${service} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }
  async function events<Answer>(operation: string, input: object): Promise<Answer> {
    const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `AWSEvents.${operation}` };
    const answer = await ask('events', '/', { method: 'POST', headers, body: JSON.stringify(input) });
    return (await answer.json()) as Answer;
  }

  async function query(service: string, parameters: Readonly<Record<string, string>>): Promise<string> {
    const answer = await ask(service, '/', { method: 'POST', body: new URLSearchParams(parameters) });
    return await answer.text();
  }

  return {
    /** The resources of a type in the template that CloudFormation was given. */
    async templateResources(stackName: string, type: string): Promise<readonly DeployedResource[]> {
      const answer = await query('cloudformation', {
        Action: 'GetTemplate',
        Version: '2010-05-15',
        StackName: stackName,
      });
      const body = textOf(answer, 'TemplateBody');
      const { Resources } = JSON.parse(body) as { Resources: Record<string, DeployedResource> };
      return Object.values(Resources).filter(({ Type }) => Type === type);
    },
    /** The function behind an alias. */
    async functionConfiguration(name: string, alias: string): Promise<FunctionConfiguration> {
      const path = `/2015-03-31/functions/${name}/configuration?Qualifier=${alias}`;
      return (await (await ask('lambda', path)).json()) as FunctionConfiguration;
    },
    /** An inline policy of a role. */
    async rolePolicy(role: string, policy: string): Promise<readonly PolicyStatement[]> {
      const asked = { Action: 'GetRolePolicy', Version: '2010-05-08', RoleName: role, PolicyName: policy };
      const document = textOf(await query('iam', asked), 'PolicyDocument');
      return (JSON.parse(decodeURIComponent(document)) as { Statement: PolicyStatement[] }).Statement;
    },
    async rules(): Promise<readonly EventRule[]> {
      const { Rules } = await events<{ Rules: Omit<EventRule, 'Targets'>[] }>('ListRules', {});
      return await Promise.all(
        Rules.map(async (rule) => {
          const { Targets } = await events<Pick<EventRule, 'Targets'>>('ListTargetsByRule', { Rule: rule.Name });
          return { ...rule, Targets };
        }),
      );
    },
  };
}

/** The text of an element of an XML document. */
function textOf(xml: string, element: string): string {
  const text = new RegExp(`<${element}>(.*)</${element}>`, 's').exec(xml)?.[1] ?? '';
  const signs: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&', '#x27': "'" };
  return text.replace(/&(#?\w+);/g, (all, name: string) => signs[name] ?? all);
}
