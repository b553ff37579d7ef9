import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context as LambdaContext } from 'aws-lambda';
import type { Context } from 'hono';
// Deprecated in favour of a package that is not published (4.13.19): this module is the one place that changes then.
import { handle } from 'hono/aws-lambda';
import type { ApiEnv } from '../api/request-context.ts';
import type { createApi } from '../api/app.ts';
import { methodWithin } from '../api/query-method.ts';

export type HttpHandler = (
  event: APIGatewayProxyEventV2,
  context: LambdaContext,
) => Promise<APIGatewayProxyStructuredResultV2>;

/**
 * Serves the API behind an HTTP API of API Gateway (payload format 2.0). A body arrives byte by byte as it was sent, so
 * that its signature can be checked. A request that brings no id of its own has API Gateway's, which its access log has.
 */
export function httpHandler(api: ReturnType<typeof createApi>): HttpHandler {
  const answer = handle(api);
  return async (event, context) =>
    (await answer(
      asRequested(event) as unknown as Parameters<typeof answer>[0],
      context as unknown as Parameters<typeof answer>[1],
    )) as APIGatewayProxyStructuredResultV2;
}

/** Where a request came from, as API Gateway saw it: no header can make it up. */
export function sourceAddress(c: Context<ApiEnv>): string {
  const { requestContext } = c.env as { readonly requestContext?: APIGatewayProxyEventV2['requestContext'] };
  return requestContext?.http.sourceIp ?? 'unknown';
}

function asRequested({ body, ...event }: APIGatewayProxyEventV2): APIGatewayProxyEventV2 {
  const { http, requestId } = event.requestContext;
  const method = methodWithin({ method: http.method, path: event.rawPath, hasBody: Boolean(body) });
  return {
    ...event,
    headers: { 'x-request-id': requestId, ...headersOf({ ...event, ...(body === undefined ? {} : { body }) }) },
    requestContext: { ...event.requestContext, http: { ...http, method } },
    // No `Request` of these methods can have one; elsewhere it means nothing.
    ...(body === undefined || method === 'GET' || method === 'HEAD' ? {} : { body }),
  };
}

/** How base64 of what gzip has packed begins: 1f 8b, and 08 for deflate. */
const packed = 'H4sI';

/**
 * API Gateway may unpack a body, and leave the header that says how it was packed.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-make-request-with-compressed-payload.html
 * https://github.com/dougmoscrop/serverless-http/issues/194
 */
function headersOf({ headers, body, isBase64Encoded }: APIGatewayProxyEventV2): APIGatewayProxyEventV2['headers'] {
  const { 'content-encoding': encoding, ...rest } = headers;
  const isUnpacked = body !== undefined && !(isBase64Encoded && body.startsWith(packed));
  return encoding === 'gzip' && isUnpacked ? rest : headers;
}
