import { Problem } from '../runtime/errors.ts';

/** How much may be put here, in bytes and objects. */
export type StorageLimits = {
  readonly objectBytes: number;
  readonly buildBytes: number;
  readonly buildObjects: number;
  readonly appBytes: number;
};

type Amount = { readonly objects: number; readonly bytes: number };

/** Throws `Problem('too-large')` for an object that is larger than one may be, or than its build has room for. */
export function checkObjectSize(name: string, sizeBytes: number, limits: StorageLimits): void {
  if (sizeBytes > limits.objectBytes) {
    throw new Problem('too-large', `${name} is larger than the ${limits.objectBytes} bytes that an object may have`);
  }
}

/** Throws `Problem('too-large')` where a build would hold more than it may. */
export function checkBuildSize({ objects, bytes }: Amount, limits: StorageLimits): void {
  if (objects > limits.buildObjects) {
    throw new Problem(
      'too-large',
      `The build would have more than the ${limits.buildObjects} objects that it may have`,
    );
  }
  if (bytes > limits.buildBytes) {
    throw new Problem('too-large', `The build would have more than the ${limits.buildBytes} bytes that it may have`);
  }
}

/** Throws `Problem('too-large')` where an app would hold more than it may. */
export function checkAppSize(app: string, bytes: number, limits: StorageLimits): void {
  if (bytes <= limits.appBytes) return;
  const how = 'purge builds, or prune what is not needed any more';
  throw new Problem(
    'too-large',
    `${app} would have more than the ${limits.appBytes} bytes that an app may have: ${how}`,
  );
}
