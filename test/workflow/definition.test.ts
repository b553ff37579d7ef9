import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import aslValidator from 'asl-validator';
import { describe, expect, it } from 'vitest';

type State = {
  Type: string;
  Parameters?: { Payload?: { step?: string } };
  ItemProcessor?: { States: Record<string, State> };
  Next?: string;
  Catch?: { Next: string }[];
};
const folder = new URL('../../functions/workflow/', import.meta.url);
const definition = JSON.parse(await readFile(new URL('deploy.asl.json', folder), 'utf8')) as {
  States: Record<string, State>;
};

function allStates(states: Record<string, State>): [string, State][] {
  return Object.entries(states).flatMap(([name, state]) => [
    [name, state] as [string, State],
    ...(state.ItemProcessor ? allStates(state.ItemProcessor.States) : []),
  ]);
}

describe('deploy.asl.json', () => {
  it('is valid by asl-validator', () => {
    const validate = (aslValidator as unknown as { default?: typeof aslValidator }).default ?? aslValidator;
    expect(validate(definition).errors).toEqual([]);
  });

  it('names a step file in every task that calls a step', () => {
    const steps = allStates(definition.States).flatMap(([, { Parameters }]) => Parameters?.Payload?.step ?? []);
    expect(steps.length).toBeGreaterThan(10);
    for (const step of steps) expect(existsSync(new URL(`${step}.ts`, folder)), step).toBe(true);
  });

  it('brings every failure of a task on the straight way to Revert, and that of Revert to an end', () => {
    const straight = ['Acquire', 'Resolve', 'AwaitBuildTurn', 'RecordBuild', 'Plan', 'Waves', 'Verify'];
    for (const name of straight) expect(definition.States[name]?.Catch?.at(-1)?.Next, name).toBe('Revert');
    expect(definition.States['Revert']?.Catch?.at(-1)?.Next).toBe('Abandon');
    expect(definition.States['Abandon']?.Next).toBe('Finish');
  });
});
