import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * What `npm run test:aws` needs beside npm's packages: ministack, an AWS emulator that none of us wrote (one Python
 * program, one port for every service, everything in memory; https://github.com/ministackorg/ministack), and for the
 * tests of `check_inputs.py` a Python with AWS's service models.
 */
export const emulatorVersion = '1.5.33';

/** Why there is no emulator here; undefined when there is one. */
export const emulatorMissing: string | undefined = findEmulator()
  ? undefined
  : `needs ministack: pip install ministack==${emulatorVersion}, and SLUICE_MINISTACK=<path of the program>`;

/** A Python with the packages that `check_inputs.py` imports. */
export const modelsPython: string | undefined = process.env['SLUICE_BOTOCORE_PYTHON'];
export const modelsMissing: string | undefined = modelsPython
  ? undefined
  : 'needs pip install botocore regex, and SLUICE_BOTOCORE_PYTHON=<path of that Python>';

/** Before all tests of the project: what will be skipped, and why. */
export function setup(): void {
  for (const reason of [emulatorMissing, modelsMissing]) {
    if (reason) process.stderr.write(`Some tests against AWS's likeness are skipped: this ${reason}\n`);
  }
}

/** The program's path: `$SLUICE_MINISTACK`, or where PATH has it. */
export function findEmulator(): string | undefined {
  const named = process.env['SLUICE_MINISTACK'];
  const places = named ? [named] : (process.env['PATH'] ?? '').split(delimiter).map((path) => join(path, 'ministack'));
  return places.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
