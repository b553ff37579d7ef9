import { Hono, type Context } from 'hono';
import * as v from 'valibot';
import { readManifest, type Manifest } from '../artifacts/manifest.ts';
import { readPointer } from '../artifacts/pointer.ts';
import { getApp } from '../apps/registry.ts';
import { nameSchema } from '../apps/schema.ts';
import { environmentOf } from '../deployments/request.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { Problem } from '../runtime/errors.ts';
import { describe } from './describe.ts';
import { externalBase, onSameHost } from './external-url.ts';
import { path, query } from './input.ts';
import type { RouteDependencies } from './options.ts';
import type { ApiEnv } from './request-context.ts';
import { noQuery } from './requests.ts';

const place = { app: nameSchema, environment: nameSchema };
const piece = v.pipe(v.string('a name'), v.regex(/^[\w+.-]{1,200}$/, 'a name of an object'));
const objectPath = v.object({ ...place, folder: piece, rest: piece });
const deltaPath = v.object({ ...place, folder: piece, rest: piece, piece });
/** A client fetches at once what it was shown the way to. */
const seconds = 600;
const found = 'The bytes are where `Location` leads.';

/**
 * What an environment has published of OSTree, as a repository that `ostree pull` reads: its refs, and the objects of the
 * one commit that each stands for. It has no summary, so a ref is to be named.
 */
export function repositoryRoutes({ ports, ownUrl }: RouteDependencies): Hono<ApiEnv> {
  const answers = { 302: found };
  const problems = ['not-found', 'forbidden'] as const;
  const toObject = async (c: Context<ApiEnv>, at: Place, name: string) => {
    const entry = (await publishedRepository(ports, at)).entries.get(name);
    if (!entry) throw new Problem('not-found', `Nothing of that name is published in ${at.environment} of ${at.app}`);
    const url = await ports.objects.downloadUrl(entry.digest, seconds);
    return c.redirect(ownUrl ? onSameHost(url, ownUrl(), externalBase(c)) : url, 302);
  };
  return new Hono<ApiEnv>()
    .get(
      '/repo/:app/:environment/config',
      describe({
        id: 'getRepository',
        tag: 'repositories',
        summary: 'What kind of OSTree repository it is',
        answers: { 200: ['OSTree’s configuration', v.string(), 'text/plain'] },
        problems,
      }),
      path(v.object(place)),
      query(noQuery),
      async (c) => {
        await publishedRepository(ports, c.req.valid('param'));
        return c.text('[core]\nrepo_version=1\nmode=archive-z2\n');
      },
    )
    .get(
      '/repo/:app/:environment/refs/heads/:type/:name/:arch/:branch',
      describe({
        id: 'getRepositoryRef',
        tag: 'repositories',
        summary: 'The commit that a published ref stands for',
        answers: { 200: ['64 hex digits', v.string(), 'text/plain'] },
        problems,
      }),
      path(v.object({ ...place, type: piece, name: piece, arch: piece, branch: piece })),
      query(noQuery),
      async (c) => {
        const { type, name, arch, branch, ...at } = c.req.valid('param');
        const ref = [type, name, arch, branch].join('/');
        const { refs } = (await publishedRepository(ports, at)).head;
        const commit = refs.find((one) => one.ref === ref)?.commit;
        if (commit === undefined)
          throw new Problem('not-found', `No such ref is published in ${at.environment} of ${at.app}`);
        return c.text(`${commit}\n`);
      },
    )
    .get(
      '/repo/:app/:environment/objects/:folder/:rest',
      describe({
        id: 'getRepositoryObject',
        tag: 'repositories',
        summary: 'Lead to an object of what is published',
        answers,
        problems,
      }),
      path(objectPath),
      query(noQuery),
      async (c) => {
        const { folder, rest, ...at } = c.req.valid('param');
        return await toObject(c, at, `${folder}${rest}`);
      },
    )
    .get(
      '/repo/:app/:environment/deltas/:folder/:rest/:piece',
      describe({
        id: 'getRepositoryDelta',
        tag: 'repositories',
        summary: 'Lead to a piece of a static delta of what is published',
        answers,
        problems,
      }),
      path(deltaPath),
      query(noQuery),
      async (c) => {
        const { folder, rest, piece: part, ...at } = c.req.valid('param');
        return await toObject(c, at, `${folder}${rest}.${part}.delta`);
      },
    );
}

type Place = { readonly app: string; readonly environment: string };

async function publishedRepository(ports: ApiPorts, { app, environment }: Place): Promise<Manifest> {
  environmentOf(await getApp(ports.records, app), environment);
  const [current] = (await readPointer(ports.records, { app, environment })).history;
  if (current?.kind !== 'ostree' || !current.manifest) {
    throw new Problem('not-found', `No OSTree repository is published in ${environment} of ${app}`);
  }
  return await readManifest(ports.objects, current.manifest);
}
