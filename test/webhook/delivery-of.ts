import { createHmac } from 'node:crypto';

export const secret = 'It is a secret to everybody';

export const signatureOf = (body: string | Uint8Array, key = secret) =>
  `sha256=${createHmac('sha256', key).update(body).digest('hex')}`;

/** A delivery as GitHub sends it; each header can be set otherwise, or left out by undefined. */
export function deliveryOf(
  event: string,
  payload: unknown,
  headers: Readonly<Record<string, string | undefined>> = {},
) {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const all = {
    'content-type': 'application/json',
    'x-github-event': event,
    'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    'x-hub-signature-256': signatureOf(body),
    ...headers,
  };
  const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { rawBody: new TextEncoder().encode(body), headers: new Headers(given), secrets: [secret] };
}

/** A push of one commit to a branch, with the fields that GitHub sends and Sluice uses. */
export const pushOf = (extra: Readonly<Record<string, unknown>> = {}) => ({
  ref: 'refs/heads/main',
  before: '0'.repeat(40),
  after: 'a'.repeat(40),
  created: false,
  deleted: false,
  forced: false,
  commits: [],
  head_commit: { id: 'a'.repeat(40) },
  repository: {
    clone_url: 'https://github.com/acme/web.git',
    ssh_url: 'git@github.com:acme/web.git',
    pushed_at: 1557933657,
  },
  pusher: { name: 'octocat' },
  ...extra,
});
