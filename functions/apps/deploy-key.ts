import type { ApiPorts } from '../ports/ports.ts';
import { getApp } from './registry.ts';
import { deployKeyPath } from './secrets.ts';

/**
 * Makes an app's deploy key: ed25519, in OpenSSH's own format, as OpenSSH refuses PKCS 8. The private half goes into
 * Secrets and never comes out; making another replaces it, so the public half has to be replaced at the host, too.
 * `randomBytes` is the source of the key: it must be fit for cryptography. Throws `Problem('not-found')`.
 */
export async function makeDeployKey(
  ports: Pick<ApiPorts, 'records' | 'secrets'> & { readonly randomBytes: (count: number) => Uint8Array },
  app: string,
): Promise<{ publicKey: string }> {
  await getApp(ports.records, app);
  // Loaded when it is asked for: it is the largest part of what a webhook does not need.
  const { getKeys } = await import('micro-key-producer/ssh.js');
  const { publicKey, privateKey } = getKeys(ports.randomBytes(32), `sluice-${app}`, ports.randomBytes(4));
  await ports.secrets.write(deployKeyPath(app), privateKey);
  return { publicKey };
}
