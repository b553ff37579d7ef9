import { reconcile } from '../deployments/reconcile.ts';
import { readEnvironment } from './environment.ts';
import { tellReconciled } from './metrics.ts';
import { reconcilePorts } from './reconcile-ports.ts';
import { wire } from './wire.ts';

/** Runs every minute, and leaves the next one its time. */
const budgetMs = 45_000;

const wired = wire(readEnvironment());
const ports = reconcilePorts(wired);

export const handler = async (): Promise<void> => {
  const found = await reconcile(ports, { budgetMs });
  wired.log.info('reconciled', { ...found });
  tellReconciled(wired.tell, found);
};
