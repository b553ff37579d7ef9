import type { APIGatewayProxyEventV2 } from 'aws-lambda';

export type EventOptions = {
  readonly method?: string;
  readonly path: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly isBase64?: boolean;
};

/**
 * A request as an HTTP API of API Gateway gives it to a function, payload format 2.0: header names are in lower case.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 */
export function apiEvent(options: EventOptions): APIGatewayProxyEventV2 {
  const { method = 'GET', path, query = '', headers = {}, body, isBase64 = false } = options;
  const bytes = body === undefined ? undefined : Buffer.from(body);
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString: query,
    headers: {
      host: 'abcdefghij.execute-api.eu-central-1.amazonaws.com',
      'x-forwarded-for': '6.6.6.6, 203.0.113.7',
      ...(bytes ? { 'content-length': String(bytes.length) } : {}),
      ...headers,
    },
    requestContext: {
      accountId: '123456789012',
      apiId: 'abcdefghij',
      domainName: 'abcdefghij.execute-api.eu-central-1.amazonaws.com',
      domainPrefix: 'abcdefghij',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '203.0.113.7', userAgent: 'GitHub-Hookshot/1234567' },
      requestId: 'JKJaXmPLvHcESHA=',
      routeKey: '$default',
      stage: '$default',
      time: '20/Nov/2026:14:22:05 +0000',
      timeEpoch: 1_795_184_525_000,
    },
    ...(bytes ? { body: bytes.toString(isBase64 ? 'base64' : 'utf8') } : {}),
    isBase64Encoded: isBase64,
  };
}
