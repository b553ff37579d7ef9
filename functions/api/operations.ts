import { Hono } from 'hono';
import { generateSpecs } from 'hono-openapi';
import * as v from 'valibot';
import type { Scrape } from '../runtime/metrics.ts';
import { describe, named } from './describe.ts';
import { documentation } from './documentation.ts';
import { withScopes } from './documented-scopes.ts';
import type { ApiOptions } from './options.ts';
import { readinessOf } from './readiness.ts';
import type { ApiEnv } from './request-context.ts';
import { healthShape, readyShape } from './shapes.ts';

/** What those need who run this control plane. `documented` holds all routes that the OpenAPI document tells of. */
export function operationRoutes(options: ApiOptions, documented: Hono<ApiEnv>): Hono<ApiEnv> {
  const ready = readinessOf(options.ports, { log: options.ports.log });
  let specification: Promise<unknown> | undefined;
  return new Hono<ApiEnv>()
    .get(
      '/health',
      describe({
        id: 'health',
        tag: 'operations',
        summary: 'Whether this process answers',
        answers: { 200: ['It does', named('Health', healthShape)] },
        open: true,
      }),
      (c) => c.json({ status: 'ok', version: options.version }),
    )
    .get(
      '/ready',
      describe({
        id: 'ready',
        tag: 'operations',
        summary: 'Whether everything it depends on answers, each by name',
        answers: {
          200: ['Everything does', named('Readiness', readyShape)],
          503: ['Something does not', named('Readiness', readyShape)],
        },
        open: true,
      }),
      async (c) => {
        const answer = await ready();
        return c.json(answer, answer.status === 'ok' ? 200 : 503);
      },
    )
    .get(
      '/openapi.json',
      describe({
        id: 'openapi',
        tag: 'operations',
        summary: 'This document',
        answers: { 200: ['An OpenAPI 3.1 document', v.looseObject({ openapi: v.string() })] },
        open: true,
      }),
      async (c) => {
        specification ??= generateSpecs(documented, documentation(options.version)).then(withScopes);
        return c.json((await specification) as object);
      },
    );
}

/** The metrics as Prometheus scrapes them; with the token, as they name every app. */
export function metricsRoutes(scrape: Scrape): Hono<ApiEnv> {
  return new Hono<ApiEnv>().get(
    '/metrics',
    describe({
      id: 'metrics',
      tag: 'operations',
      summary: 'Metrics in Prometheus’ text format',
      description: 'They name the apps, so they need the token (`authorization` in the scrape configuration).',
      answers: { 200: ['The metrics', v.string(), 'text/plain'] },
    }),
    async (c) => {
      const { contentType, text } = await scrape();
      return c.body(text, 200, { 'content-type': contentType });
    },
  );
}
