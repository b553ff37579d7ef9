import type { GenerateSpecOptions } from 'hono-openapi';

/** What the OpenAPI document says besides the routes. */
export function documentation(version: string): Partial<GenerateSpecOptions> {
  return {
    // Our routes name their own problems; the default would promise an answer that we never give.
    defaultValidationErrorResponse: false,
    // It takes `/openapi.json` for a file.
    excludeStaticFile: false,
    documentation: {
      info: {
        title: 'Sluice',
        version,
        description: 'From a git push to a drained, health-gated rolling deploy.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: [
        { name: 'apps', description: 'What may be deployed.' },
        { name: 'deployments', description: 'Attempts to bring an artifact to an environment.' },
        { name: 'environments', description: 'The places an app runs.' },
        { name: 'builds', description: 'Attempts to make an artifact.' },
        { name: 'repositories', description: 'What was published of OSTree, to be pulled.' },
        { name: 'tokens', description: 'What callers may do, and what they have done.' },
        { name: 'webhooks', description: 'Where pushes are told of.' },
        { name: 'operations', description: 'For those who run this control plane.' },
      ],
      security: [{ bearer: [] }],
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
    },
  };
}
