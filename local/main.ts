import { messageOf, Problem } from '../functions/runtime/errors.ts';
import { jsonLog, terminalLog, type Log } from '../functions/runtime/log.ts';
import { readConfig, type Config } from './config.ts';
import { startServer } from './server.ts';
import { stopRequest } from './stop-request.ts';

/** `npm start`: the whole control plane on this machine, until SIGTERM or SIGINT. */
try {
  const config = readConfig(process.env);
  const log = openLog(config);
  const stop = stopRequest(process, () => {
    log.warn('stopped at once: tasks that still run are ended by the next start');
    process.exit(130);
  });
  const server = await startServer({ config, log, environment: process.env });
  process.stdout.write(`Sluice is ready on ${server.url}\n`);
  log.info('ready', { url: server.url, engine: server.engine, dataFolder: config.dataFolder });
  await stop;
  log.info('stopping: draining and stopping every task');
  process.exit(await closed(server, log));
} catch (error) {
  process.stderr.write(`${describe(error)}\n`);
  process.exit(1);
}

function openLog({ logFormat, logLevel }: Config): Log {
  const isForPeople = logFormat === 'text' || (logFormat === 'auto' && process.stdout.isTTY);
  const write = (text: string) => void process.stdout.write(text);
  return isForPeople ? terminalLog({ level: logLevel, write }) : jsonLog({ level: logLevel });
}

/** The code to exit with. */
async function closed(server: { close(): Promise<void> }, log: Log): Promise<0 | 1> {
  try {
    await server.close();
    return 0;
  } catch (error) {
    log.error('not stopped cleanly', { error: messageOf(error) });
    return 1;
  }
}

/** What is wrong, field by field where it is known; a stack only for what is a defect of ours. */
function describe(error: unknown): string {
  if (!(error instanceof Problem))
    return `Sluice could not start: ${error instanceof Error ? error.stack : String(error)}`;
  const [first, ...others] = error.issues;
  if (!first) return `Sluice could not start: ${error.message}`;
  const lines = [first, ...others].map(({ field, expected }) => `  ${field} must be ${expected}`);
  return ['Sluice could not start: its configuration is not valid.', ...lines].join('\n');
}
