import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { awsError } from './scripted-aws.ts';

/**
 * AWS as a process sees it that is told `AWS_ENDPOINT_URL`: for programs whose clients a test cannot script. JSON
 * services answer as they are told; S3 is a map from `bucket/key`. Signatures are not checked.
 */
export type AwsEndpoint = {
  readonly url: string;
  /** What was asked: `ecr.CreateRepository`, `s3.PUT bucket/key`. */
  readonly calls: string[];
  readonly objects: Map<string, { readonly body: Buffer; readonly headers: IncomingMessage['headers'] }>;
  /** Who may not list the bucket is told 403 of what is not there. */
  readonly settings: { mayList: boolean };
  readonly close: () => Promise<void>;
};
/** By operation: `GetSecretValue`. Throws `awsError`. */
// oxlint-disable-next-line typescript/no-explicit-any
export type EndpointAnswers = Readonly<Record<string, (input: any) => unknown>>;

export async function makeAwsEndpoint(answers: EndpointAnswers): Promise<AwsEndpoint> {
  const calls: string[] = [];
  const objects: AwsEndpoint['objects'] = new Map();
  const settings = { mayList: true };
  const server = createServer((request, response) => {
    void (async () => {
      const body = await buffer(request);
      const target = request.headers['x-amz-target'];
      if (typeof target === 'string') await answerJson(response, target.split('.').at(-1) ?? '', body);
      else answerS3(request, response, body);
    })();
  });

  async function answerJson(response: ServerResponse, operation: string, body: Buffer): Promise<void> {
    calls.push(operation);
    try {
      const answer = answers[operation];
      if (!answer) throw awsError('AccessDeniedException', `may not ${operation}`);
      response.end(JSON.stringify(await answer(JSON.parse(body.toString()))));
    } catch (error) {
      const { name, message } = error as Error;
      response.writeHead(400).end(JSON.stringify({ __type: name, message }));
    }
  }

  function answerS3({ method = '', url = '', headers }: IncomingMessage, response: ServerResponse, body: Buffer): void {
    const path = decodeURIComponent(url.slice(1).split('?')[0] ?? '');
    calls.push(`${method} ${path}`);
    const found = objects.get(path);
    const refuse = (status: number, code: string) =>
      response.writeHead(status, { 'content-type': 'application/xml' }).end(`<Error><Code>${code}</Code></Error>`);
    if (method === 'PUT') {
      if (headers['if-none-match'] === '*' && found) return void refuse(412, 'PreconditionFailed');
      objects.set(path, { body, headers });
      return void response.writeHead(200, { etag: '"1"' }).end();
    }
    if (!found) return void (settings.mayList ? refuse(404, 'NoSuchKey') : refuse(403, 'AccessDenied'));
    response.writeHead(200, { etag: '"1"', 'content-length': found.body.length });
    response.end(method === 'HEAD' ? undefined : found.body);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    objects,
    settings,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
