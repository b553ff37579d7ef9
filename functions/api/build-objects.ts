import { Hono, type Context } from 'hono';
import { acceptObjects } from '../builds/accept.ts';
import { declareUploads, type Transfer } from '../builds/declare.ts';
import { findAppOfRef, addExtraIds, putRef } from '../builds/refs.ts';
import { missingObjects } from '../builds/present.ts';
import { outsideName } from '../apps/outside-name.ts';
import { Problem } from '../runtime/errors.ts';
import { build } from './builds.ts';
import { buildPath, extraIdsBody, newRefBody, refPath, uploadsBody, wantedBody } from './build-requests.ts';
import { buildRefShape, missingShape, sizesShape, transfersShape, type TransfersView } from './build-shapes.ts';
import { buildView, refView } from './build-view.ts';
import { describe, named } from './describe.ts';
import { externalBase, externalUrl, onSameHost } from './external-url.ts';
import { jsonBody, path, query } from './input.ts';
import { parts } from './multipart.ts';
import type { RouteDependencies } from './options.ts';
import { permit } from './permit.ts';
import { getPermittedUpload } from './permit-build.ts';
import { getOrQuery, queryBody } from './query-method.ts';
import type { ApiEnv } from './request-context.ts';
import { noQuery } from './requests.ts';

const mostNamesBytes = 10 * 1024 ** 2;
/** A stock client sends up to 4 MiB at once, and a link in an OSTree repository takes 41 bytes at least. */
const mostParts = 110_000;
const ref = named('BuildRef', buildRefShape);
const problems = ['not-found', 'forbidden', 'too-large', 'wrong-repo-state', 'busy'] as const;

/** What is put into a build, and what it stands for. */
export function buildObjectRoutes({ ports, ownUrl }: RouteDependencies): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>()
    .post(
      '/api/v1/build/:id/upload',
      describe({
        id: 'uploadObjects',
        tag: 'builds',
        summary: 'Put objects into a build',
        description:
          'A `multipart/mixed` or `multipart/form-data` body; the file name of each part is the name of an object. A ' +
          'request counts whole or not at all. What is large is better put by `…/uploads`.',
        answers: { 200: ['The size of each, in their order', named('Sizes', sizesShape)] },
        problems,
      }),
      path(buildPath),
      query(noQuery),
      async (c) => {
        const { id } = c.req.valid('param');
        await getPermittedUpload(c, ports.records, id);
        const sent = parts(c.req.raw.body, c.req.header('content-type') ?? '', { maxParts: mostParts });
        return c.json([...(await acceptObjects(ports, id, sent))]);
      },
    )
    .post(
      '/api/v1/build/:id/uploads',
      describe({
        id: 'transferObjects',
        tag: 'builds',
        summary: 'Ask where the bytes of objects are to be put, straight into the store',
        description:
          'Each part is a PUT to its `url` with its `headers`, in any order, several at once, and again. Asked again, it ' +
          'says what is missing then. `commit` finishes and verifies them.',
        answers: { 200: ['What is to be sent of each', named('Transfers', transfersShape)] },
        problems,
      }),
      path(buildPath),
      query(noQuery),
      jsonBody(uploadsBody, 'upload'),
      async (c) => {
        const { id } = c.req.valid('param');
        await getPermittedUpload(c, ports.records, id);
        const transfers = await declareUploads(ports, id, c.req.valid('json').objects);
        return c.json({ objects: transfers.map((transfer) => transferView(c, transfer, ownUrl)) });
      },
    )
    .post(
      '/api/v1/build/:id/build_ref',
      describe({
        id: 'putBuildRef',
        tag: 'builds',
        summary: 'Say what a build holds: a name, and the commit, manifest or bundle that it stands for',
        description: 'The same name again replaces it. `kind` may say what it is to be: it is refused if it is not.',
        answers: { 200: ['The ref', ref] },
        problems,
      }),
      path(buildPath),
      query(noQuery),
      jsonBody(newRefBody, 'ref'),
      async (c) => {
        const { id } = c.req.valid('param');
        const body = c.req.valid('json');
        const before = await getPermittedUpload(c, ports.records, id);
        const owner = await findAppOfRef(ports.records, body.ref);
        if (owner) permit(c, { app: owner.id, appId: outsideName(owner), repo: before.repo });
        const made = await putRef(ports, id, { ...body, buildLogUrl: body['build-log-url'] });
        c.header('location', externalUrl(c, `/api/v1/build/${id}/build_ref/${made.ref.id}`));
        return c.json(refView(id, made.ref));
      },
    )
    .get(
      '/api/v1/build/:id/build_ref/:ref',
      describe({
        id: 'getBuildRef',
        tag: 'builds',
        summary: 'Show a ref of a build',
        answers: { 200: ['The ref', ref] },
        problems: ['not-found', 'forbidden'],
      }),
      path(refPath),
      query(noQuery),
      async (c) => {
        const { id, ref } = c.req.valid('param');
        const { refs } = await getPermittedUpload(c, ports.records, id);
        const found = refs.find((one) => one.id === ref);
        if (!found) throw new Problem('not-found', `The build ${id} has no ref ${ref}`);
        return c.json(refView(id, found));
      },
    )
    .post(
      '/api/v1/build/:id/add_extra_ids',
      describe({
        id: 'addExtraIds',
        tag: 'builds',
        summary: 'Add ids that a build provides besides',
        answers: { 200: ['The build', build] },
        problems,
      }),
      path(buildPath),
      query(noQuery),
      jsonBody(extraIdsBody, 'list of ids'),
      async (c) => {
        const { id } = c.req.valid('param');
        await getPermittedUpload(c, ports.records, id);
        const changed = await addExtraIds(ports, id, c.req.valid('json').ids);
        c.header('location', externalUrl(c, `/api/v1/build/${id}`));
        return c.json(buildView({ kind: 'upload', build: changed }));
      },
    );
  app.on(
    getOrQuery,
    '/api/v1/build/:id/missing_objects',
    describe({
      id: 'missingObjects',
      tag: 'builds',
      summary: 'Ask which objects have to be sent to a build',
      description:
        'The names go into a JSON body (`{"wanted": […]}`), which may be packed by gzip. What the build holds, or its ' +
        'environment has published, need not be sent.',
      answers: { 200: ['Those that are missing', named('MissingObjects', missingShape)] },
      problems: ['not-found', 'forbidden', 'too-large'],
    }),
    path(buildPath),
    query(noQuery),
    queryBody(wantedBody, 'list of objects', { maxBytes: mostNamesBytes, gzip: true }),
    async (c) => {
      const { id } = c.req.valid('param');
      await getPermittedUpload(c, ports.records, id);
      return c.json({ missing: [...(await missingObjects(ports, id, c.req.valid('json').wanted))] });
    },
  );
  return app;
}

/** What this control plane would put itself, where it is the store as well, goes the way by which the client came. */
function transferView(
  c: Context<ApiEnv>,
  transfer: Transfer,
  ownUrl: (() => string) | undefined,
): TransfersView['objects'][number] {
  if (transfer.status === 'stored') return { name: transfer.name, status: 'stored' };
  const { name, status, partCount, missingCount, missing } = transfer;
  return {
    name,
    status,
    partCount,
    missingCount,
    parts: missing.map(({ number, offsetBytes, sizeBytes, put }) => ({
      number,
      offsetBytes,
      sizeBytes,
      url: ownUrl ? onSameHost(put.url, ownUrl(), externalBase(c)) : put.url,
      headers: { ...put.headers },
    })),
  };
}
