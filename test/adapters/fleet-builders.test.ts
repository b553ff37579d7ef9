import type { ServiceDeployment, Task } from '@aws-sdk/client-ecs';
import { describe, expect, it } from 'vitest';
import { baseOf, describeDefinitionInput, newestDefinitionsInput } from '../../functions/aws/fleet/definitions.ts';
import { countFailures, endOf } from '../../functions/aws/fleet/failures.ts';
import { listDeploymentsInput } from '../../functions/aws/fleet/find-deployment.ts';
import { decodeLogCursor, encodeLogCursor } from '../../functions/aws/fleet/log-cursor.ts';
import { filterInput, logPlaceOf } from '../../functions/aws/fleet/logs.ts';
import { failureReason } from '../../functions/aws/fleet/reason.ts';
import { describeServiceInput, managedIssue } from '../../functions/aws/fleet/service.ts';
import { registerInput, stopTimeoutOf } from '../../functions/aws/fleet/task-definition.ts';
import { taskState, type GroupHealth } from '../../functions/aws/fleet/task-state.ts';
import type { TaskView } from '../../functions/ports/fleet.ts';
import { listTasksInput } from '../../functions/aws/fleet/tasks.ts';
import { stopInput } from '../../functions/aws/fleet/undo.ts';
import {
  deploymentConfiguration,
  rollInput,
  scaleInput,
  stuckIssue,
} from '../../functions/aws/fleet/update-service.ts';
import { imageArtifact, managedTags, stackDefinition } from '../support/aws-fleet.ts';
import { bundleArtifact, policy, revisionOf, targetRef } from '../support/fleet.ts';

const name = { cluster: 'main', service: 'web-dev' };
const ref = targetRef({ cluster: 'main', service: 'web-dev' });
const base = {
  taskDefinition: {
    ...stackDefinition(),
    taskDefinitionArn: 'arn:aws:ecs:eu-central-1:111122223333:task-definition/web-dev:7',
    revision: 7,
    status: 'ACTIVE' as const,
    compatibilities: ['FARGATE' as const],
    requiresAttributes: [{ name: 'x' }],
    registeredAt: new Date(0),
    registeredBy: 'arn:aws:iam::111122223333:role/cloudformation',
  },
  tags: [
    { key: 'team', value: 'payments' },
    { key: 'aws:cloudformation:stack-name', value: 'Web' },
    { key: 'sluice:managed', value: 'old' },
  ],
};
const definition = {
  base,
  family: 'web-dev',
  ref,
  rolloutId: 'deployment-1.web',
  revision: revisionOf(imageArtifact, { id: 'rev-1', env: { LEVEL: 'debug' }, stopTimeoutSeconds: 0.5 }),
  secretReferences: {},
  prefix: 'sluice',
  bucket: 'sluice-bucket',
};

describe('the task definition of a rollout', () => {
  it('is the stack’s with our fields of one container changed', () => {
    const [container] = stackDefinition().containerDefinitions ?? [];
    expect(registerInput(definition)).toEqual({
      ...stackDefinition(),
      containerDefinitions: [
        {
          ...container,
          image: imageArtifact.reference,
          environment: [
            { name: 'TABLE', value: 'web-table' },
            { name: 'LEVEL', value: 'debug' },
            { name: 'PORT', value: '3000' },
          ],
          secrets: [],
          stopTimeout: 2,
        },
      ],
      tags: [
        { key: 'team', value: 'payments' },
        { key: 'sluice:managed', value: 'sluice' },
        { key: 'sluice:app', value: 'web' },
        { key: 'sluice:environment', value: 'dev' },
        { key: 'sluice:revision', value: 'rev-1' },
        { key: 'sluice:rollout', value: 'deployment-1.web' },
        { key: 'sluice:base', value: '7' },
      ],
    });
  });

  it('never names a variable that is a secret as well, whoever set which', () => {
    const [container] = stackDefinition().containerDefinitions ?? [];
    const given = {
      ...container,
      environment: [{ name: 'URL', value: 'plain' }],
      secrets: [
        { name: 'LEVEL', valueFrom: 'arn:stack-level' },
        { name: 'KEY', valueFrom: 'arn:stack-key' },
        { name: 'PORT', valueFrom: 'arn:stack-port' },
      ],
    };
    const reference = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:url-AbCdEf:::v1';
    const [made] =
      registerInput({
        ...definition,
        base: { taskDefinition: { ...base.taskDefinition, containerDefinitions: [given] } },
        secretReferences: { URL: reference, PORT: 'arn:ours' },
      }).containerDefinitions ?? [];
    expect(made).toMatchObject({
      environment: [
        { name: 'LEVEL', value: 'debug' },
        { name: 'PORT', value: '3000' },
      ],
      secrets: [
        { name: 'KEY', valueFrom: 'arn:stack-key' },
        { name: 'URL', valueFrom: reference },
      ],
    });
  });

  it('replaces the command where the app has one, and touches no other container', () => {
    const sidecar = { name: 'proxy', image: 'envoy:1', environment: [{ name: 'A', value: '1' }] };
    const containers = [...(base.taskDefinition.containerDefinitions ?? []), sidecar];
    const made = registerInput({
      ...definition,
      base: { taskDefinition: { ...base.taskDefinition, containerDefinitions: containers } },
      revision: { ...definition.revision, command: ['serve'] },
    });
    expect(made.containerDefinitions?.[0]?.command).toEqual(['serve']);
    expect(made.containerDefinitions?.[1]).toEqual(sidecar);
  });

  it('gives a bundle to the init container, and leaves the image', () => {
    const init = { name: 'sluice-bundle', image: 'aws-cli', essential: false };
    const containers = [...(base.taskDefinition.containerDefinitions ?? []), init];
    const artifact = bundleArtifact(imageArtifact.digest);
    const made = registerInput({
      ...definition,
      base: { taskDefinition: { ...base.taskDefinition, containerDefinitions: containers } },
      revision: revisionOf(artifact, { id: 'rev-2' }),
    });
    expect(made.containerDefinitions?.[0]).toMatchObject({
      image: 'public.ecr.aws/nginx/nginx:stable',
      command: ['node', 'server.mjs'],
    });
    const hex = 'ab'.repeat(32);
    expect(made.containerDefinitions?.[1]).toEqual({
      ...init,
      environment: [
        { name: 'SLUICE_BUNDLE_BUCKET', value: 'sluice-bucket' },
        { name: 'SLUICE_BUNDLE_KEY', value: `blobs/sha256/${hex}` },
        { name: 'SLUICE_BUNDLE_SHA256', value: hex },
      ],
    });
    const { command: _, ...silent } = revisionOf(artifact);
    const bundled = { taskDefinition: { ...base.taskDefinition, containerDefinitions: containers } };
    expect(() => registerInput({ ...definition, base: bundled, revision: silent })).toThrow('runtime.command');
  });

  it('stops within what ECS takes', () => {
    expect([0, 2, 2.1, 30, 120, 500].map(stopTimeoutOf)).toEqual([2, 2, 3, 30, 120, 120]);
  });

  it('is built on the one that the stack made, also after ours', () => {
    expect(baseOf(base)).toBe(base.taskDefinition.taskDefinitionArn);
    const ours = { ...base, tags: [{ key: 'sluice:base', value: '3' }] };
    expect(baseOf(ours)).toBe('arn:aws:ecs:eu-central-1:111122223333:task-definition/web-dev:3');
    const templated = { ...base, tags: [...ours.tags, { key: 'sluice:template', value: 'web-dev-template' }] };
    expect(baseOf(templated)).toBe('web-dev-template');
  });

  it('goes into the family that the service runs, and keeps the name of its template', () => {
    const template = { ...base, taskDefinition: { ...base.taskDefinition, family: 'web-dev-template', revision: 4 } };
    const made = registerInput({ ...definition, base: template, template: 'web-dev-template' });
    expect(made.family).toBe('web-dev');
    expect(made.tags).toEqual(
      expect.arrayContaining([
        { key: 'sluice:base', value: '4' },
        { key: 'sluice:template', value: 'web-dev-template' },
      ]),
    );
  });
});

describe('how ECS is to roll', () => {
  const percentages = { minimumHealthyPercent: 100, maximumPercent: 200 };
  it('is by our policy, with what the stack said of alarms and hooks', () => {
    const alarms = { alarmNames: ['web-5xx'], rollback: true, enable: true };
    const earlySuccessCriteria = { enable: false };
    const given = {
      strategy: 'ROLLING',
      alarms,
      earlySuccessCriteria,
      bakeTimeInMinutes: 0,
      deploymentCircuitBreaker: { enable: false, rollback: false, resetOnHealthyTask: false },
      minimumHealthyPercent: 50,
    } as const;
    expect(deploymentConfiguration(given, policy)).toEqual({
      ...percentages,
      strategy: 'ROLLING',
      alarms,
      earlySuccessCriteria,
      deploymentCircuitBreaker: {
        enable: true,
        rollback: true,
        resetOnHealthyTask: false,
        thresholdConfiguration: { type: 'COUNT', value: 2 },
      },
    });
  });

  it('has a circuit breaker where the stack said nothing, and none where it rolls another way', () => {
    expect(deploymentConfiguration(undefined, policy)).toEqual({
      ...percentages,
      deploymentCircuitBreaker: {
        enable: true,
        rollback: true,
        thresholdConfiguration: { type: 'COUNT', value: 2 },
      },
    });
    const green = { strategy: 'BLUE_GREEN', bakeTimeInMinutes: 5 } as const;
    expect(deploymentConfiguration(green, policy)).toEqual({ ...green, ...percentages });
  });

  it('lets a task be replaced', () => {
    const fixed = { ...policy, minimumHealthyPercent: 100, maximumPercent: 100 };
    expect(stuckIssue(2, fixed)).toBe(
      'percentages that let a task be replaced: with 2 wanted, at least 2 must serve and at most 2 may exist',
    );
    expect(stuckIssue(1, { ...policy, minimumHealthyPercent: 50, maximumPercent: 150 })).toBeDefined();
    expect(stuckIssue(0, fixed)).toBeUndefined();
    expect(stuckIssue(2, policy)).toBeUndefined();
    expect(stuckIssue(2, { ...policy, minimumHealthyPercent: 50, maximumPercent: 100 })).toBeUndefined();
  });
});

it('asks AWS for what it wants, and no more', () => {
  const configuration = deploymentConfiguration(undefined, policy);
  const to = { taskDefinition: 'arn:web:8', deploymentConfiguration: configuration };
  expect(rollInput(name, to)).toEqual({ ...name, ...to });
  expect(scaleInput(name, 3)).toEqual({ ...name, desiredCount: 3 });
  expect(stopInput('arn:d')).toEqual({ serviceDeploymentArn: 'arn:d', stopType: 'ROLLBACK' });
  expect(describeServiceInput(name)).toEqual({ cluster: 'main', services: ['web-dev'], include: ['TAGS'] });
  expect(describeDefinitionInput('arn:web:7')).toEqual({ taskDefinition: 'arn:web:7', include: ['TAGS'] });
  expect(newestDefinitionsInput('web')).toEqual({ familyPrefix: 'web', sort: 'DESC', maxResults: 5 });
  expect(listDeploymentsInput(name, 1_000_000)).toEqual({
    ...name,
    createdAt: { after: new Date(700_000) },
    maxResults: 20,
  });
  const tasks = { cluster: 'main', serviceName: 'web-dev', desiredStatus: 'STOPPED', maxResults: 100 };
  expect(listTasksInput(name, 'STOPPED')).toEqual(tasks);
  expect(listTasksInput(name, 'STOPPED', 'next')).toEqual({ ...tasks, nextToken: 'next' });
});

describe('what may be touched', () => {
  const service = { tags: managedTags };
  const wanted = { prefix: 'sluice', app: 'web', environment: 'dev' };
  it('carries our tags and is rolled by ECS', () => {
    expect(managedIssue(service, wanted)).toBeUndefined();
    expect(managedIssue({}, wanted)).toContain('the tag sluice:managed = sluice');
    expect(managedIssue(service, { ...wanted, prefix: 'other' })).toContain('sluice:managed = other');
    expect(managedIssue(service, { ...wanted, app: 'shop' })).toContain('sluice:app = shop');
    expect(managedIssue(service, { ...wanted, environment: 'live' })).toContain('sluice:environment = live');
    expect(managedIssue({ ...service, deploymentController: { type: 'EXTERNAL' } }, wanted)).toContain('not EXTERNAL');
    expect(managedIssue({ ...service, schedulingStrategy: 'DAEMON' }, wanted)).toContain('REPLICA');
  });
});

describe('a task', () => {
  const task: Task = {
    lastStatus: 'RUNNING',
    desiredStatus: 'RUNNING',
    containers: [{ networkInterfaces: [{ privateIpv4Address: '10.0.0.1' }] }],
  };
  const group = (state: string, id = '10.0.0.1') => [{ targetGroup: 'tg', targets: [{ id, state }] }];
  it.each<[Task, GroupHealth[], TaskView['state'] | undefined]>([
    [task, group('healthy'), 'serving'],
    [task, group('unused'), 'serving'],
    [task, group('unavailable'), 'serving'],
    [task, group('initial'), 'starting'],
    [task, group('healthy', '10.0.0.2'), 'starting'],
    [task, group('unhealthy'), 'failed'],
    [task, group('draining'), 'draining'],
    [task, group('unhealthy.draining'), 'draining'],
    [task, [...group('healthy'), ...group('initial')], 'starting'],
    [task, [], 'serving'],
    [{ ...task, containers: [] }, group('healthy', 'i-1'), 'serving'],
    [{ ...task, healthStatus: 'UNHEALTHY' }, group('healthy'), 'failed'],
    [{ ...task, lastStatus: 'PENDING' }, group('healthy'), 'starting'],
    [{ ...task, desiredStatus: 'STOPPED' }, group('healthy'), 'draining'],
    [{ ...task, lastStatus: 'STOPPING' }, group('healthy'), 'stopping'],
    [{ ...task, lastStatus: 'STOPPED' }, group('healthy'), undefined],
  ])('%# is as its own status and its targets say', (of, health, state) => {
    expect(taskState(of, health)).toBe(state);
  });

  it('is found by its attachment where its container has no interface', () => {
    const details = [{ name: 'privateIPv4Address', value: '10.0.0.1' }];
    const attached = { ...task, containers: [], attachments: [{ type: 'ElasticNetworkInterface', details }] };
    expect(taskState(attached, group('initial'))).toBe('starting');
  });
});

describe('failures', () => {
  const failed = (id: string, at: number, more: Task = {}): Task => ({
    taskArn: `arn:task/main/${id}`,
    lastStatus: 'STOPPED',
    stopCode: 'EssentialContainerExited',
    stoppedReason: 'Essential container in task exited',
    stoppedAt: new Date(at),
    ...more,
  });
  it('are counted once, and on when ECS forgets them', () => {
    const one = countFailures(undefined, [failed('a', 10), failed('b', 20)]);
    expect(one).toMatchObject({ count: 2, last: { at: 20 } });
    expect(countFailures(one, [failed('b', 20)])).toBe(one);
    expect(countFailures(one, [])).toBe(one);
    expect(countFailures(one, [failed('c', 30)])).toMatchObject({ count: 3, last: { at: 30 }, seen: ['c'] });
    expect(countFailures(one, [failed('c', 5)])).toMatchObject({ count: 3, last: { at: 20 } });
  });

  it('are not what was told to stop, nor what nobody is to blame for', () => {
    const told = ['UserInitiated', 'SpotInterruption', 'TerminationNotice', 'InfrastructureHealth'] as const;
    const tasks = told.map((stopCode, at) => failed(String(at), at, { stopCode }));
    const scaled = failed('s', 1, { stopCode: 'ServiceSchedulerInitiated', stoppedReason: 'Scaling activity' });
    expect(countFailures(undefined, [...tasks, scaled])).toBeUndefined();
    const ill = failed('i', 1, {
      stopCode: 'ServiceSchedulerInitiated',
      stoppedReason: 'Task failed ELB health checks in (target-group arn)',
    });
    expect(countFailures(undefined, [ill])?.count).toBe(1);
    expect(countFailures(undefined, [failed('f', 1, { stopCode: 'TaskFailedToStart' })])?.count).toBe(1);
  });

  it('say how they ended', () => {
    const reason = 'CannotPullContainerError: not found';
    expect(endOf(failed('a', 1, { containers: [{ name: 'web', reason }] }))).toBe(
      `Essential container in task exited (web: ${reason})`,
    );
    expect(endOf({})).toBe('it stopped');
  });
});

describe('why ECS gave up', () => {
  const breaker: ServiceDeployment = { deploymentCircuitBreaker: { status: 'TRIGGERED', failureCount: 1 } };
  const task: Task = { taskDefinitionArn: 'new', lastStatus: 'STOPPED', stopCode: 'TaskFailedToStart' };
  it('is told in a sentence', () => {
    expect(failureReason(breaker, [], 'new')).toBe('The circuit breaker opened after 1 failed task');
    expect(failureReason(breaker, [{ ...task, stoppedReason: 'No space left.' }], 'new')).toBe(
      'The circuit breaker opened after 1 failed task; the last one: No space left',
    );
    expect(failureReason({ alarms: { triggeredAlarmNames: ['a', 'b'] } }, [task], 'new')).toBe('The alarms a, b rang');
    expect(failureReason({ rollback: { reason: 'By a person.' } }, [], 'new')).toBe('By a person.');
    const long = failureReason(breaker, [{ ...task, stoppedReason: 'x'.repeat(5000) }], 'new');
    expect(long.length, 'a deployment of 40 targets must fit its record').toBeLessThan(1100);
    expect(failureReason({ statusReason: 'Why.' }, [{ ...task, stoppedReason: 'Gone.' }], 'new')).toBe(
      'Why; the last task: Gone',
    );
    expect(failureReason({}, [{ ...task, taskDefinitionArn: 'old' }], 'new')).toBe('ECS gave the deployment up');
  });
});

describe('a log', () => {
  const place = { group: '/web/dev', streams: 'web/web/' };
  it('is where the container’s driver puts it', () => {
    expect(logPlaceOf(base.taskDefinition, 'web')).toEqual(place);
    expect(logPlaceOf(base.taskDefinition, 'other')).toBeUndefined();
    const splunk = { containerDefinitions: [{ name: 'web', logConfiguration: { logDriver: 'splunk' as const } }] };
    expect(logPlaceOf(splunk, 'web')).toBeUndefined();
  });

  it('is asked for from a place on, up to what is settled', () => {
    const cursor = { since: 5, seen: ['a', 'b'] };
    expect(filterInput(place, { cursor, limit: 10, now: 60_000, token: undefined })).toEqual({
      logGroupName: '/web/dev',
      logStreamNamePrefix: 'web/web/',
      startTime: 5,
      endTime: 50_000,
      limit: 12,
    });
    expect(filterInput(place, { cursor, limit: 10_000, now: 0, token: 't' })).toMatchObject({
      limit: 10_000,
      nextToken: 't',
    });
  });

  it('has a cursor that comes back as it was, and no other', () => {
    const cursor = { since: 1_700_000_000_000, seen: ['x', 'y'] };
    expect(decodeLogCursor(encodeLogCursor(cursor))).toEqual(cursor);
    expect(decodeLogCursor(undefined)).toEqual({ since: 0, seen: [] });
    for (const bad of [
      'nonsense',
      Buffer.from('{}').toString('base64url'),
      Buffer.from('[1,2]').toString('base64url'),
    ]) {
      expect(() => decodeLogCursor(bad)).toThrow('after: expected the next of a page before');
    }
  });
});
