import { Hono } from 'hono';
import { getBuild } from '../builds/store.ts';
import type { ApiPorts } from '../ports/ports.ts';
import { describe, named } from './describe.ts';
import { follow } from './follow.ts';
import { path, query } from './input.ts';
import { logView } from './log-view.ts';
import type { RouteDependencies } from './options.ts';
import type { ApiEnv } from './request-context.ts';
import { idPath, logsQuery } from './requests.ts';
import { logShape } from './shapes.ts';

/** Attempts to make an artifact. */
export function buildRoutes({ ports, waiting }: RouteDependencies): Hono<ApiEnv> {
  return new Hono<ApiEnv>().get(
    '/api/v1/build/:id/logs',
    describe({
      id: 'followBuild',
      tag: 'builds',
      summary: 'Follow the output of a build, while it runs and afterwards',
      description: 'Each line names the phase it comes from. `done` says that no line will follow.',
      answers: { 200: ['Lines after the cursor', named('Log', logShape)] },
      problems: ['not-found'],
    }),
    path(idPath),
    query(logsQuery),
    async (c) => {
      const { after, wait } = c.req.valid('query');
      const read = () => readLog(ports, c.req.valid('param').id, after);
      return c.json(logView(await follow(read, ({ lines, done }) => lines.length > 0 || done, waiting(c, wait))));
    },
  );
}

/** A build that waits for its turn has no lines yet, and the builder does not know it: it is not done for all that. */
async function readLog(ports: Pick<ApiPorts, 'records' | 'builder'>, id: string, after: string | undefined) {
  const build = await getBuild(ports.records, id);
  const page = await ports.builder.logs(id, after === undefined ? {} : { after });
  return { ...page, done: page.done && build.state.status !== 'open' };
}
