import { messageOf, Problem } from '../functions/runtime/errors.ts';
import { jsonLog } from '../functions/runtime/log.ts';
import { readConfig } from './config.ts';
import { startServer } from './server.ts';

/** `npm start`: the whole control plane on this machine, until SIGTERM or SIGINT. */
try {
  const config = readConfig(process.env);
  const log = jsonLog({ level: config.logLevel });
  const server = await startServer({ config, log, environment: process.env });
  process.stdout.write(`Sluice is ready on ${server.url}\n`);
  log.info('ready', { url: server.url, engine: server.engine, dataFolder: config.dataFolder });
  const stop = () => {
    log.info('stopping: draining and stopping every task');
    void server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error('not stopped cleanly', { error: messageOf(error) });
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
} catch (error) {
  process.stderr.write(`${describe(error)}\n`);
  process.exit(1);
}

/** The sentence, and what is wrong with each field; a stack only for what is a defect of ours. */
function describe(error: unknown): string {
  if (!(error instanceof Problem))
    return `Sluice could not start: ${error instanceof Error ? error.stack : String(error)}`;
  return [
    `Sluice could not start: ${error.message}`,
    ...error.issues.map(({ field, expected }) => `  ${field}: ${expected}`),
  ].join('\n');
}
