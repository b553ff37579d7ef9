import type { DeploymentRow, DeploymentView } from '../functions/api/shapes.ts';

type Counts = NonNullable<DeploymentView['targets'][number]['counts']>;

/** What a deployment was asked to bring: `source main`, `image nginx:1.27`. */
export function requestText(request: DeploymentRow['request']): string {
  const field = (name: string) => {
    const value = Object.entries(request).find(([key]) => key === name)?.[1];
    return typeof value === 'string' ? value : '';
  };
  switch (request.kind) {
    case 'source':
      return `source ${field('ref')
        .replace(/^refs\/heads\//, '')
        .replace(/^refs\/tags\//, 'tag ')}`.trim();
    case 'image':
      return `image ${field('reference')}`;
    case 'artifact':
      return `artifact ${shortDigest(field('digest'))}`;
    case 'fetch':
      return `fetch ${field('url')}`;
    case 'revision':
      return `revision of ${field('deploymentId')}`;
    default:
      return request.kind;
  }
}

/** `sha256:0123456789ab…`, enough to tell two apart. */
export function shortDigest(digest: string): string {
  return digest.length > 20 ? `${digest.slice(0, 19)}…` : digest;
}

export function shortCommit(commit: string | null): string {
  return commit?.slice(0, 10) ?? '';
}

export function triggerText(trigger: DeploymentRow['trigger']): string {
  return trigger.kind === trigger.actor || trigger.actor === '' ? trigger.kind : `${trigger.kind} by ${trigger.actor}`;
}

/** How a rollout stands on a target: `new 1/2, 1 starting, old 2, draining 0`. */
export function countsText(counts: Counts): string {
  const parts = [`new ${counts.newServing}/${counts.desired}`];
  if (counts.newStarting > 0) parts.push(`${counts.newStarting} starting`);
  parts.push(`old ${counts.oldServing}`, `draining ${counts.draining}`);
  if (counts.failed > 0) parts.push(`${counts.failed} failed`);
  return parts.join(', ');
}

/** The same for narrow terminals: `1/2 +1 old 2 out 0`. */
export function shortCountsText({ desired, newServing, newStarting, oldServing, draining, failed }: Counts): string {
  const starting = newStarting > 0 ? ` +${newStarting}` : '';
  return `${newServing}/${desired}${starting} old ${oldServing} out ${draining}${failed > 0 ? ` bad ${failed}` : ''}`;
}

/** States as people read them: `rolled_back` → `rolled back`. */
export function statusText(status: string): string {
  return status.replaceAll('_', ' ');
}
