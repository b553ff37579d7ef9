import type { ApiPorts } from '../ports/ports.ts';
import { narrow, type Grant, type MintRequest } from './narrow.ts';
import type { Principal } from './principal.ts';
import { createToken, type TokenRecord } from './token-store.ts';
import { signToken } from './tokens.ts';

export type MintPorts = Pick<ApiPorts, 'records' | 'clock' | 'newId'> & {
  readonly adminTokens: () => Promise<readonly string[]>;
};

/** The value is shown this once, and kept nowhere. */
export type MintedToken = { readonly value: string; readonly record: TokenRecord };

/** Makes a token that is narrower than the one of whoever asks. Throws `Problem('forbidden')` when it would be wider. */
export async function mintToken(ports: MintPorts, parent: Principal, request: MintRequest): Promise<MintedToken> {
  return await issueToken(ports, narrow(parent, request, ports.clock()), parent.name);
}

/** Makes the token of a grant; it is written down before it is given to anybody. */
export async function issueToken(ports: MintPorts, grant: Grant, createdBy: string): Promise<MintedToken> {
  const now = ports.clock();
  const token = { ...grant, jti: ports.newId() };
  const value = await signToken(await ports.adminTokens(), token, now);
  const record = await createToken(ports.records, { ...token, createdAt: now, createdBy });
  return { value, record };
}
