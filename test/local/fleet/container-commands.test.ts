import { describe, expect, it } from 'vitest';
import {
  containerName,
  environmentWays,
  listArguments,
  portArguments,
  removeArguments,
  runArguments,
  stopArguments,
} from '../../../local/fleet/container-commands.ts';

describe('container commands', () => {
  it('start a container on loopback, named and labelled, without a value among the arguments', () => {
    expect(
      runArguments({
        name: 'sluice-web-d1-site-1',
        image: 'sha256:abc',
        port: 3000,
        command: ['--serve', 'x'],
        envFile: '/data/t.env',
        passed: ['CERTIFICATE'],
        labels: { 'sluice.data': 'd', 'sluice.task': 't' },
      }),
    ).toEqual([
      'run',
      '--detach',
      '--name',
      'sluice-web-d1-site-1',
      '--label',
      'sluice.data=d',
      '--label',
      'sluice.task=t',
      '--log-driver',
      'json-file',
      '--log-opt',
      'max-size=10m',
      '--publish',
      '127.0.0.1::3000',
      '--env-file',
      '/data/t.env',
      '--env',
      'CERTIFICATE',
      '--',
      'sha256:abc',
      '--serve',
      'x',
    ]);
  });

  it('stop, remove, list and look', () => {
    expect(stopArguments('n', 1.2)).toEqual(['stop', '--time', '2', 'n']);
    expect(removeArguments(['a', 'b'])).toEqual(['rm', '--force', '--volumes', 'a', 'b']);
    expect(portArguments('n', 3000)).toEqual(['port', 'n', '3000/tcp']);
    expect(listArguments('d')).toContain('label=sluice.data=d');
    expect(containerName({ app: 'web', deploymentId: 'd1', target: 'site', number: 3 })).toBe('sluice-web-d1-site-3');
  });

  it('put values of one line in the file, and others into the environment of the client', () => {
    const ways = environmentWays({
      A: 'b=c #d',
      EMPTY: '',
      KEY: 'line 1\nline 2',
      QUOTED: '"x"',
      LONG: 'x'.repeat(70_000),
    });
    expect(ways.file).toBe('A=b=c #d\nEMPTY=\n');
    expect(Object.keys(ways.passed).sort()).toEqual(['KEY', 'LONG', 'QUOTED']);
    expect(ways.impossible).toEqual([]);
  });

  it('never set what the client itself heeds', () => {
    const ways = environmentWays({
      PATH: 'a\nb',
      DOCKER_HOST: 'a\nb',
      https_proxy: 'a\nb',
      LD_PRELOAD: 'a\nb',
      FINE: 'a\nb',
    });
    expect(Object.keys(ways.passed)).toEqual(['FINE']);
    expect([...ways.impossible].sort()).toEqual(['DOCKER_HOST', 'LD_PRELOAD', 'PATH', 'https_proxy']);
    expect(environmentWays({ PATH: '/bin' }).file).toBe('PATH=/bin\n');
  });
});
