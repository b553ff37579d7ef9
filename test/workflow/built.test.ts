import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { describeBuilt } from '../../functions/workflow/built.ts';

/** As Step Functions gives a build: CodeBuild's description with its names in PascalCase. */
const build = (status: string, more: object = {}) => ({
  Arn: 'arn:aws:codebuild:eu-central-1:123456789012:build/sluice-build-bundle:0a1b',
  BuildComplete: true,
  BuildNumber: 3,
  BuildStatus: status,
  CurrentPhase: 'COMPLETED',
  EndTime: 1763600000000,
  Environment: {
    EnvironmentVariables: [
      { Name: 'SLUICE_AGENT', Type: 'PLAINTEXT', Value: 'agent.mjs' },
      { Name: 'SLUICE_SPEC', Type: 'PLAINTEXT', Value: '{"buildId":"d1","timeoutSeconds":600}' },
    ],
  },
  ExportedEnvironmentVariables: [
    { Name: 'SLUICE_RESULT', Value: '' },
    { Name: 'SLUICE_REASON', Value: '' },
  ],
  Phases: [
    { DurationInSeconds: 0, PhaseStatus: 'SUCCEEDED', PhaseType: 'SUBMITTED' },
    {
      Contexts: [{ Message: 'Error while executing command: node. Reason: exit status 1', StatusCode: 'CLIENT_ERROR' }],
      PhaseStatus: 'FAILED',
      PhaseType: 'PRE_BUILD',
    },
    { Contexts: [{ Message: 'the consequence', StatusCode: '' }], PhaseStatus: 'FAILED', PhaseType: 'POST_BUILD' },
    { PhaseType: 'COMPLETED' },
  ],
  ...more,
});
const caught = (Error: string, Cause?: string) => ({ Error, ...(Cause === undefined ? {} : { Cause }) });
const failed = (status: string, more?: object) => caught('States.TaskFailed', JSON.stringify(build(status, more)));
const said = (value: string) => ({ ExportedEnvironmentVariables: [{ Name: 'SLUICE_REASON', Value: value }] });

describe('how a build ended', () => {
  it('is its result when it ended well', () => {
    const exported = [{ Name: 'SLUICE_RESULT', Value: '{"kind":"bundle"}' }];
    const outcome = { Build: build('SUCCEEDED', { ExportedEnvironmentVariables: exported }) };
    expect(describeBuilt(outcome, 'web')).toEqual({ status: 'succeeded', result: '{"kind":"bundle"}' });
  });

  it.each([
    [failed('FAILED', said('The build command failed: sh ended with 3')), 'failed', /^The build command failed: sh/],
    [failed('FAILED'), 'failed', /^The phase pre_build failed: Error while executing command: node/],
    [failed('FAILED', { Phases: null, ExportedEnvironmentVariables: null }), 'failed', /^The build failed$/],
    [failed('TIMED_OUT'), 'timed_out', /^The build took longer than its limit of 10 minutes$/],
    [failed('FAILED', said('The build took longer than its limit of 10 minutes')), 'timed_out', /its limit of 10 minu/],
    [failed('STOPPED'), 'stopped', /^The build was stopped$/],
    [failed('FAULT'), 'interrupted', /^The build lost its machine \(/],
    [caught('States.Timeout'), 'timed_out', /^The build took longer than its limit$/],
  ])('is told as on one machine: %#', (outcome, status, reason) => {
    expect(describeBuilt(outcome, 'web')).toEqual({ status, reason: expect.stringMatching(reason) });
  });

  it('is read from a description that Step Functions has cut', () => {
    const spec = JSON.stringify({ buildArgs: 'x'.repeat(40_000), lie: '"BuildStatus":"STOPPED"' });
    const whole = JSON.stringify({
      ...said('The build command failed: "sh" ended with 3'),
      BuildStatus: 'TIMED_OUT',
      Environment: { EnvironmentVariables: [{ Name: 'SLUICE_SPEC', Value: spec }] },
    });
    const cut = caught('States.TaskFailed', whole.slice(0, 32_768));
    expect(describeBuilt(cut, 'web')).toMatchObject({ status: 'timed_out' });
    const failing = caught('States.TaskFailed', whole.replace('TIMED_OUT', 'FAILED').slice(0, 32_768));
    expect(describeBuilt(failing, 'web')).toEqual({
      status: 'failed',
      reason: 'The build command failed: "sh" ended with 3',
    });
    const lying = caught('States.TaskFailed', `{"Environment":${JSON.stringify(spec)}`.slice(0, 32_768));
    expect(describeBuilt(lying, 'web')).toEqual({ status: 'failed', reason: 'The build failed' });
  });
});

describe('a build that was not begun', () => {
  const denied =
    'User: arn:aws:sts::123456789012:assumed-role/sluice-deploy/x is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/sluice/build/sluice-build-web';

  it('for want of its app’s role says what to do', () => {
    const { status, ...told } = describeBuilt(caught('CodeBuild.AWSCodeBuildException', denied), 'web');
    expect(status).toBe('failed');
    expect(told).toMatchObject({ reason: expect.stringContaining(denied) });
    expect(told).toMatchObject({
      reason: expect.stringMatching(/…-build-web\) is made by the app's own stack: deploy/),
    });
  });

  it('as CodeBuild could not take the role on says the same', () => {
    const contexts = [{ Message: 'CodeBuild is not authorized to perform: sts:AssumeRole on arn:aws:iam::1:role/x' }];
    const phases = [{ PhaseType: 'SUBMITTED', PhaseStatus: 'FAILED', Contexts: contexts }];
    expect(describeBuilt(failed('FAILED', { Phases: phases }), 'web')).toMatchObject({
      status: 'failed',
      reason: expect.stringMatching(/sts:AssumeRole.*deploy that first$/),
    });
  });

  it.each([
    ['CodeBuild.ResourceNotFoundException', 'No such project', 'failed: The build was refused: No such project'],
    ['CodeBuild.InvalidInputException', '', 'failed: The build was refused: CodeBuild.InvalidInputException'],
    ['States.Permissions', 'Not allowed', 'failed: The build was refused: Not allowed'],
    [
      'CodeBuild.AccountLimitExceededException',
      'Cannot have more than 1 builds in queue for the account',
      'failed: CodeBuild ran as many builds as it may for too long: Cannot have more than 1 builds in queue for the account',
    ],
    ['CodeBuild.SdkClientException', 'timeout', 'interrupted: The build could not be started: timeout'],
    ['Problem', 'busy', 'interrupted: The build could not be started: busy'],
  ])('by %s (%s) is %s', (name, cause, expected) => {
    const built = describeBuilt(caught(name, cause), 'web');
    expect(`${built.status}: ${'reason' in built ? built.reason : ''}`).toBe(expected);
  });

  it('and of which nothing is known is made again', () => {
    expect(describeBuilt({ nonsense: true }, 'web')).toMatchObject({ status: 'interrupted' });
    expect(describeBuilt(undefined, 'web')).toMatchObject({ status: 'interrupted' });
  });
});

describe('the state Build', () => {
  it('tries again only what was refused for sure: else two builds would be made of one', async () => {
    type Definition = { States: { Build: { Retry: { ErrorEquals: string[]; MaxAttempts: number }[] } } };
    const file = new URL('../../functions/workflow/deploy.asl.json', import.meta.url);
    const { Retry } = (JSON.parse(await readFile(file, 'utf8')) as Definition).States.Build;
    expect(Retry.flatMap(({ ErrorEquals }) => ErrorEquals)).toEqual([
      'CodeBuild.AccountLimitExceededException',
      'CodeBuild.ThrottlingException',
      'CodeBuild.CodeBuildException',
      'CodeBuild.AWSCodeBuildException',
    ]);
  });

  it('waits up to an hour for a place when CodeBuild runs as many builds as it may', async () => {
    type Retry = { IntervalSeconds: number; BackoffRate: number; MaxDelaySeconds: number; MaxAttempts: number };
    const file = new URL('../../functions/workflow/deploy.asl.json', import.meta.url);
    const parsed = JSON.parse(await readFile(file, 'utf8')) as { States: { Build: { Retry: Retry[] } } };
    const [first] = parsed.States.Build.Retry;
    let seconds = 0;
    let next = first?.IntervalSeconds ?? 0;
    for (let attempt = 0; attempt < (first?.MaxAttempts ?? 0); attempt += 1) {
      seconds += Math.min(next, first?.MaxDelaySeconds ?? 0);
      next *= first?.BackoffRate ?? 1;
    }
    expect(seconds / 60).toBeGreaterThan(45);
    expect(seconds / 60).toBeLessThan(75);
  });
});
