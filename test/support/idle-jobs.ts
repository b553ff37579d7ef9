import type { Ports } from '../../functions/ports/ports.ts';

/** For tests that are not about jobs: none runs, and nothing is sent anywhere. */
export const idleJobs: Pick<Ports, 'jobs' | 'send'> = {
  jobs: {
    start: async () => {},
    isRunning: async () => false,
    stop: async () => {},
    resume: async () => false,
    fail: async () => false,
    ready: async () => {},
  },
  send: async () => {
    throw new Error('Nothing is to be sent in this test');
  },
};
