import { createHmac } from 'node:crypto';

/** A push to `main` of acme/web as GitHub delivers it. `pushedAt` in seconds since 1970. */
export function signedPush(push: {
  readonly commit: string;
  readonly pushedAt: number;
  readonly delivery: string;
  readonly secret: string;
}): { readonly body: string; readonly headers: Readonly<Record<string, string>> } {
  const body = JSON.stringify(pushOf(push.commit, push.pushedAt));
  const headers = {
    'x-github-event': 'push',
    'x-github-delivery': push.delivery,
    'x-hub-signature-256': `sha256=${createHmac('sha256', push.secret).update(body).digest('hex')}`,
  };
  return { body, headers };
}

/** Its payload. https://docs.github.com/en/webhooks/webhook-events-and-payloads#push */
export function pushOf(commit: string, pushedAt: number) {
  return {
    ref: 'refs/heads/main',
    before: '0'.repeat(40),
    after: commit,
    created: false,
    deleted: false,
    forced: false,
    repository: {
      id: 1,
      full_name: 'acme/web',
      html_url: 'https://github.com/acme/web',
      clone_url: 'https://github.com/acme/web.git',
      ssh_url: 'git@github.com:acme/web.git',
      git_url: 'git://github.com/acme/web.git',
      pushed_at: pushedAt,
    },
    pusher: { name: 'octocat' },
    head_commit: { id: commit },
    commits: [{ id: commit }],
  };
}
