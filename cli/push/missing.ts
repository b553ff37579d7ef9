import { path } from '../client.ts';
import { patient, type Destination } from './destination.ts';
import { runAll } from './slots.ts';

/** Which of these names the server does not have for this build. */
export async function missingOf(names: readonly string[], to: Destination): Promise<ReadonlySet<string>> {
  const missing = new Set<string>();
  const pages = Array.from({ length: Math.ceil(names.length / namesACall) }, (_, index) =>
    names.slice(index * namesACall, (index + 1) * namesACall),
  );
  const ask = (wanted: readonly string[]) => async (signal: AbortSignal) => {
    const { body } = await to.client.request<{ missing: readonly string[] }>({
      method: 'QUERY',
      path: path`/api/v1/build/${to.build}/missing_objects`,
      body: { wanted },
      gzip: true,
      ...patient(to, signal),
    });
    for (const name of body.missing) missing.add(name);
  };
  await runAll(pages.map(ask), { atOnce: to.parallel, signal: to.signal });
  return missing;
}

const namesACall = 2000;
