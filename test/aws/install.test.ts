import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeOnEmulator, startEmulator } from './emulator.ts';
import { install, type Installed } from './installation.ts';
import { installedParts } from './installed-parts.ts';
import { installedPush } from './installed-push.ts';
import { bucketOf, installedUpload } from './installed-upload.ts';

/**
 * The CDK CLI bootstraps, and deploys what the project's own CDK app synthesised, into ministack, whose CloudFormation
 * makes the resources in its own services. Its API Gateway then calls the bundled functions, in Node 24 processes, and
 * they speak to its services by the SDK in their bundles.
 */
describeOnEmulator('the control plane, installed by cdk deploy into ministack', () => {
  let installed: Installed | undefined;
  let bucket = '';
  const get = () => {
    if (!installed) throw new Error('The control plane is not installed');
    return installed;
  };

  beforeAll(async () => {
    const emulator = await startEmulator({ PERSIST_STATE: '1', S3_PERSIST: '1' });
    if (!emulator) throw new Error('The emulator is absent');
    try {
      installed = { emulator, installation: await install(emulator) };
      bucket = await bucketOf(installed);
    } catch (error) {
      await emulator.close();
      throw error;
    }
  }, 300_000);
  afterAll(async () => {
    await installed?.emulator.close();
  });

  installedParts(get);

  it('is ready', async () => {
    const answer = await fetch(get().installation.url('/ready'));
    expect([answer.status, await answer.json()]).toMatchObject([200, { status: 'ok' }]);
  });

  /**
   * Started anew so that it checks signatures and enforces IAM: a function can do what its role lets it and nothing
   * else. Not before: its S3 would apply the policy of CDK's own bucket, TLS alone, and it speaks none here.
   */
  describe('used over its HTTP API, each function with the rights of its own role alone', () => {
    // The state machine's pauses between repetitions are left out.
    beforeAll(async () => await get().emulator.restart({ AUTH: 'true', SFN_WAIT_SCALE: '0' }), 60_000);

    installedPush(get);
    describe('and given a build by upload', () => {
      installedUpload(get, () => bucket);
    });
  });
});
