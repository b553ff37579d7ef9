import * as v from 'valibot';
import { mintedShape } from '../../functions/api/token-requests.ts';
import { adminToken, type TestApi } from './api.ts';

export type Minted = v.InferOutput<typeof mintedShape>;

/** A token minted through the API, by the admin token or another one. */
export async function mint(
  api: Pick<TestApi, 'request'>,
  body: Readonly<Record<string, unknown>> = {},
  by: string = adminToken,
): Promise<Minted> {
  const response = await api.request('POST', '/api/v1/token_subset', {
    body: { name: 'test', duration: 3600, ...body },
    headers: { authorization: `Bearer ${by}` },
  });
  if (response.status !== 200) throw new Error(`Not minted: ${response.status} ${await response.text()}`);
  return v.parse(mintedShape, await response.json());
}

export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
