import { Agent, request } from 'node:http';
import { makeRepository } from '../support/git-repo.ts';
import { freePort, startTestServer } from '../support/server.ts';
import { webApp, webFiles } from '../support/web-app.ts';
import { compare, type Comparison } from './measure.ts';

const connections = 32;
const secondsPerMeasure = 3;

/** Requests per second that a target answers through its draining proxy, against the same task asked directly. */
export async function benchProxy(pairs: number): Promise<Comparison> {
  const [server, repository, listenPort] = await Promise.all([
    startTestServer({ env: { LOG_LEVEL: 'error' } }),
    makeRepository(),
    freePort(),
  ]);
  try {
    const ref = await repository.commit(webFiles({ version: 'bench' }));
    await server.apply('web', webApp({ repoUrl: repository.url, listenPort, desiredCount: 1 }));
    const { id } = await server.deploy({ app: 'web', environment: 'dev', source: { ref } });
    await server.ended(id);
    const env = (await (await fetch(`http://127.0.0.1:${listenPort}/env`)).json()) as { PORT: string };
    return await compare(
      pairs,
      async () => await requestsPerSecond(listenPort),
      async () => await requestsPerSecond(Number(env.PORT)),
    );
  } finally {
    await server.remove();
    await repository.remove();
  }
}

async function requestsPerSecond(port: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const began = performance.now();
  let answered = 0;
  const client = async (): Promise<void> => {
    while (performance.now() - began < secondsPerMeasure * 1000) {
      await ask(port, agent);
      answered += 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  agent.destroy();
  return answered / ((performance.now() - began) / 1000);
}

async function ask(port: number, agent: Agent): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    request({ host: '127.0.0.1', port, agent, path: '/' }, (response) => {
      response.resume();
      response.on('end', resolve);
    })
      .on('error', reject)
      .end();
  });
}
