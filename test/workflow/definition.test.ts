import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import aslValidator from 'asl-validator';
import { describe, expect, it } from 'vitest';

type State = {
  Type: string;
  Resource?: string;
  Parameters?: { Payload?: { step?: string } };
  Retry?: { ErrorEquals: string[]; MaxAttempts: number; MaxDelaySeconds?: number }[];
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

  /** https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html */
  it('undoes nothing because Lambda was throttled or failed, or a service was busy, for minutes', () => {
    const calls = allStates(definition.States).filter(([, { Resource }]) => Resource?.includes(':lambda:'));
    expect(calls).toHaveLength(14);
    for (const [name, { Retry = [] }] of calls) {
      const of = (error: string) =>
        Retry.find(({ ErrorEquals }) => [error, 'States.ALL'].some((e) => ErrorEquals.includes(e)));
      for (const error of ['TooManyRequestsException', 'ServiceException', 'AWSLambdaException', 'SdkClientException'])
        expect(of(`Lambda.${error}`), name).toMatchObject({ MaxAttempts: 20, MaxDelaySeconds: 60 });
      expect(of('Busy'), name).toMatchObject({ MaxAttempts: 20, MaxDelaySeconds: 60 });
      expect(of('TypeError')?.MaxAttempts, name).toBeLessThanOrEqual(6);
    }
  });
});
