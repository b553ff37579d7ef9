import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as requests from '../../functions/api/requests.ts';
import * as tokenRequests from '../../functions/api/token-requests.ts';
import { appSchema } from '../../functions/apps/schema.ts';
import { adminToken, openTestApi } from '../support/api.ts';

/** The rules of OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0) that a document of ours could break. */
const schema = v.union([v.record(v.string(), v.unknown()), v.boolean()]);
const media = v.strictObject({ schema, example: v.optional(v.unknown()) });
const content = v.record(v.pipe(v.string(), v.regex(/^[a-z]+\/[a-z+.-]+$/)), media);
const parameter = v.strictObject({
  name: v.string(),
  in: v.picklist(['path', 'query']),
  required: v.optional(v.boolean()),
  description: v.optional(v.string()),
  schema,
});
const operationShape = v.strictObject({
  operationId: v.string(),
  tags: v.pipe(v.array(v.string()), v.minLength(1)),
  summary: v.pipe(v.string(), v.minLength(5)),
  description: v.optional(v.string()),
  parameters: v.optional(v.array(parameter)),
  requestBody: v.optional(v.strictObject({ required: v.optional(v.boolean()), content })),
  responses: v.record(
    v.pipe(v.string(), v.regex(/^([1-5]\d\d|default)$/)),
    v.strictObject({ description: v.pipe(v.string(), v.minLength(3)), content: v.optional(content) }),
  ),
  security: v.optional(v.array(v.record(v.string(), v.array(v.string())))),
});
const documentShape = v.strictObject({
  openapi: v.literal('3.1.0'),
  info: v.strictObject({
    title: v.string(),
    version: v.string(),
    description: v.string(),
    license: v.strictObject({ name: v.string(), identifier: v.string() }),
  }),
  servers: v.array(v.strictObject({ url: v.string() })),
  tags: v.array(v.strictObject({ name: v.string(), description: v.string() })),
  security: v.array(v.record(v.string(), v.array(v.string()))),
  paths: v.record(
    v.pipe(v.string(), v.regex(/^\/[\w./{}-]*$/)),
    v.record(v.picklist(['get', 'put', 'post', 'delete']), operationShape),
  ),
  components: v.strictObject({
    schemas: v.record(v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]+$/)), schema),
    securitySchemes: v.record(v.string(), v.strictObject({ type: v.literal('http'), scheme: v.string() })),
  }),
});

let document: v.InferOutput<typeof documentShape>;
let api: Awaited<ReturnType<typeof openTestApi>>;
beforeAll(async () => {
  api = await openTestApi();
  const response = await api.app.request('/openapi.json');
  document = v.parse(documentShape, await response.json());
});
afterAll(async () => {
  await api.close();
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      method,
      operation,
    })),
  );
const refsIn = (value: unknown): string[] =>
  typeof value !== 'object' || value === null
    ? []
    : Object.entries(value).flatMap(([key, inner]) => (key === '$ref' ? [String(inner)] : refsIn(inner)));

describe('the OpenAPI document', () => {
  it('tells of every route there is, and of no other', () => {
    const registered = api.app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    // What takes a GET with a body takes a QUERY, which OpenAPI 3.1 has no word for.
    const queries = registered.filter((route) => route.startsWith('QUERY '));
    const told = operations().map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect(told.sort()).toEqual([...new Set(registered)].filter((route) => !queries.includes(route)).sort());
    expect(told.length).toBeGreaterThan(20);
    const asGet = queries.map((route) => route.replace('QUERY', 'GET'));
    const withBody = operations().filter(({ method, operation }) => method === 'get' && operation.requestBody);
    expect(new Set(withBody.map(({ path }) => `GET ${path}`))).toEqual(new Set(asGet));
  });

  it('names every operation once, under a tag it explains', () => {
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const tags = document.tags.map(({ name }) => name);
    expect(operations().flatMap(({ operation }) => operation.tags.filter((tag) => !tags.includes(tag)))).toEqual([]);
  });

  it('declares every part of a path, as required', () => {
    for (const { path, operation } of operations()) {
      const parts = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect([path, declared.map(({ name }) => name).sort()]).toEqual([path, parts.sort()]);
      expect(declared.every(({ required }) => required)).toBe(true);
    }
  });

  it('points at nothing that it does not hold, and holds nothing that nothing points at', () => {
    const refs = new Set(refsIn(document));
    const held = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect([...refs].sort()).toEqual(held.sort());
  });

  it('answers every operation with a success and with problems, and says what needs the token', () => {
    for (const { path, operation } of operations()) {
      const statuses = Object.keys(operation.responses);
      expect([path, statuses.some((status) => /^[23]/.test(status))]).toEqual([path, true]);
      expect(Object.keys(operation.responses['default']?.content ?? {})).toEqual(['application/problem+json']);
      const isOpen = path === '/api/v1/token/exchange' || !/^\/(?:api|repo)\/|^\/metrics$/.test(path);
      expect([path, operation.security]).toEqual([path, isOpen ? [] : undefined]);
      expect(statuses.includes('401')).toBe(!isOpen || ['/webhooks/github', '/api/v1/token/exchange'].includes(path));
    }
  });

  it('says of every operation what it needs of a token', () => {
    const descriptions = operations().filter(({ operation }) => operation.security === undefined);
    expect(
      descriptions.filter(
        ({ operation }) => !/Needs a token with the scope|Any token/.test(operation.description ?? ''),
      ),
    ).toEqual([]);
    const told = (path: string, method: 'get' | 'put' | 'post') => document.paths[path]?.[method]?.description;
    expect(told('/api/v1/build/{id}', 'get')).toContain('the scope `build` or `upload` and the sub `build/{id}`.');
    expect(told('/api/v1/apps/{app}', 'put')).toContain('the sub `app/{app}`, for all environments.');
    expect(told('/api/v1/tokens', 'get')).toContain('`tokenmanagement` and an empty sub.');
    expect(told('/api/v1/token_subset', 'post')).toContain('Any token may ask.');
  });

  it('says numbers where a query means numbers', () => {
    const list = document.paths['/api/v1/deployments']?.get?.parameters ?? [];
    expect(list.find(({ name }) => name === 'limit')).toEqual({
      in: 'query',
      name: 'limit',
      schema: { type: 'integer', minimum: 1, maximum: 200 },
    });
  });

  it('says which bodies may be left out', () => {
    const bodies = operations().flatMap(({ operation: { operationId, requestBody } }) =>
      requestBody ? [[operationId, requestBody.required]] : [],
    );
    const needed = (operationIds: readonly string[], isNeeded: boolean) =>
      Object.fromEntries(operationIds.map((operationId) => [operationId, isNeeded]));
    const may = 'commitBuild followCheck followCommit followPublish getJob missingObjects promote publishBuild';
    const must =
      'addExtraIds applyApp createBuild deploy exchangeToken getTokens mintToken prune putBuildRef republish';
    expect(Object.fromEntries(bodies)).toEqual({
      ...needed([...must.split(' '), 'reviewCheck', 'revokeTokens', 'scale', 'transferObjects', 'writeSecret'], true),
      ...needed([...may.split(' '), 'purgeBuild', 'rollback'], false),
    });
  });

  it('gives examples that are accepted', () => {
    const bodies = {
      AppInput: appSchema,
      TokenInput: tokenRequests.tokenBody,
      TokenIds: tokenRequests.tokenIdsBody,
      TokenExchangeInput: tokenRequests.exchangeBody,
      DeploymentInput: requests.deploymentBody,
      RollbackInput: requests.rollbackBody,
      ScaleInput: requests.scaleBody,
      SecretInput: requests.secretBody,
    };
    for (const [name, schema] of Object.entries(bodies)) {
      const { examples } = v.parse(v.object({ examples: v.array(v.unknown()) }), document.components.schemas[name]);
      expect([name, examples.map((example) => v.is(schema, example))]).toEqual([name, examples.map(() => true)]);
      expect(examples.length).toBeGreaterThan(0);
    }
  });

  it('holds nothing of whoever runs it', async () => {
    const text = JSON.stringify(document);
    expect(text).not.toContain(adminToken);
    expect(text).toContain(JSON.parse(await readFile('package.json', 'utf8')).license);
  });
});
