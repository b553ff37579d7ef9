import { describe, expect, it } from 'vitest';
import { rollbackGoal, type Release } from '../../functions/deployments/releases.ts';

const release = (deploymentId: string, restores?: string): Release => ({
  deploymentId,
  at: 0,
  ...(restores ? { restores } : {}),
});

describe('where a rollback leads', () => {
  it('goes to what ran before', () => {
    expect(rollbackGoal([release('b'), release('a')])?.deploymentId).toBe('a');
  });

  it('goes two steps back when done twice, and not there and back', () => {
    const releases = [release('r1', 'b'), release('c'), release('b'), release('a')];
    expect(rollbackGoal(releases)?.deploymentId).toBe('a');
  });

  it('goes to what runs now while something else is being rolled out', () => {
    expect(rollbackGoal([release('b'), release('a')], 'c')?.deploymentId).toBe('b');
  });

  it('goes to what ran before one that has succeeded at that very moment', () => {
    expect(rollbackGoal([release('b'), release('a')], 'b')?.deploymentId).toBe('a');
  });

  it('leads nowhere when nothing ran before', () => {
    expect(rollbackGoal([release('a')])).toBeUndefined();
    expect(rollbackGoal([], 'c')).toBeUndefined();
    expect(rollbackGoal([release('r', 'a'), release('b'), release('a')])).toBeUndefined();
  });
});
