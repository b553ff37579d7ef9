import { describe, expect, it } from 'vitest';
import { parseRepoUrl } from '../../functions/apps/repo-url.ts';
import { imageReferenceIssue } from '../../functions/artifacts/image-reference.ts';
import { buildCommand, inspectCommand, pullCommand, tagCommand } from '../../buildspecs/agent/engine-commands.ts';
import { hostKeysFor, sshCommand } from '../../buildspecs/agent/host-keys.ts';
import { maskSecrets } from '../../buildspecs/agent/mask.ts';
import type { EngineClient } from '../../buildspecs/agent/outside.ts';

const docker: EngineClient = { kind: 'docker', bin: '/usr/bin/docker', buildKit: true };
const place = { engine: docker, cwd: '/work', env: { PATH: '/bin', HOME: '/root' } };
const build = {
  image: {
    dockerfile: 'Dockerfile',
    context: '.',
    target: 'release',
    buildArgs: { VERSION: '1', HTTP_PROXY: 'http://p', DOCKER_HOST: 'tcp://evil', PATH: '/evil', LD_PRELOAD: 'x' },
    tag: 'sluice-web:d1',
  },
  dockerfile: '/place/source/Dockerfile',
  context: '/place/source',
  labels: { 'sluice.app': 'web' },
  idFile: '/place/image-id',
};

describe('the engine’s commands', () => {
  it('build an image with BuildKit, arguments in the environment but those that would bend the client', () => {
    expect(buildCommand(place, build)).toEqual({
      file: '/usr/bin/docker',
      cwd: '/work',
      env: { PATH: '/bin', HOME: '/root', DOCKER_BUILDKIT: '1', VERSION: '1' },
      args: [
        'build',
        '--progress=plain',
        '--file=/place/source/Dockerfile',
        '--tag=sluice-web:d1',
        '--iidfile=/place/image-id',
        '--target=release',
        '--label=sluice.app=web',
        '--build-arg=VERSION',
        '--build-arg=HTTP_PROXY=http://p',
        '--build-arg=DOCKER_HOST=tcp://evil',
        '--build-arg=PATH=/evil',
        '--build-arg=LD_PRELOAD=x',
        '--',
        '/place/source',
      ],
    });
  });

  it('build without BuildKit where the client has none, and with Podman’s own builder', () => {
    const { target: _, ...image } = build.image;
    const legacy = buildCommand({ ...place, engine: { ...docker, buildKit: false } }, { ...build, image });
    expect(legacy.env['DOCKER_BUILDKIT']).toBe('0');
    expect(legacy.args.slice(0, 3)).toEqual(['build', '--force-rm', '--file=/place/source/Dockerfile']);
    expect(legacy.args.join(' ')).not.toContain('--target');
    const podman = buildCommand({ ...place, engine: { kind: 'podman', bin: 'podman', buildKit: false } }, build);
    expect(podman.env['DOCKER_BUILDKIT']).toBeUndefined();
  });

  it('take names as data', () => {
    expect(pullCommand(place, 'node:22').args).toEqual(['pull', '--', 'node:22']);
    expect(tagCommand(place, { reference: 'sha256:x', tag: 't' }).args).toEqual(['tag', '--', 'sha256:x', 't']);
    expect(inspectCommand(place, 'x').args).toEqual(['image', 'inspect', '--format', '{{.Id}} {{.Size}}', '--', 'x']);
  });
});

describe('an image reference', () => {
  const hex = 'a'.repeat(64);
  it.each([
    'node',
    'node:22',
    'library/node',
    'localhost:5000/a/b:t',
    'ghcr.io/x/y_z--q:1.0',
    `registry.example/a@sha256:${hex}`,
    `a:t@sha256:${hex}`,
    '[::1]:5000/a',
  ])('may be %s', (text) => {
    expect(imageReferenceIssue(text)).toBeUndefined();
  });
  it.each([
    '',
    '-x',
    '--help',
    'UPPER',
    'a b',
    'a//b',
    'a:',
    ':t',
    'a@sha256:short',
    'a/',
    '/a',
    'a\nb',
    'a;b',
    hex,
    'a'.repeat(600),
  ])('may not be %j', (text) => {
    expect(imageReferenceIssue(text)).toEqual(expect.stringContaining('an image'));
  });
});

describe('host keys', () => {
  const url = (text: string) => {
    const parsed = parseRepoUrl(text);
    if (!parsed) throw new Error('it is a URL');
    return parsed;
  };
  it('are GitHub’s own for GitHub, also on its other port', () => {
    for (const text of ['git@github.com:a/b.git', 'ssh://git@ssh.github.com:443/a/b', 'ssh://git@GITHUB.com/a/b']) {
      const keys = hostKeysFor(url(text), [], '/known');
      expect(keys).toMatchObject({ mode: 'pinned' });
      expect('lines' in keys && keys.lines).toEqual([
        expect.stringMatching(/^github\.com,\[ssh\.github\.com\]:443 ssh-ed25519 /),
      ]);
    }
  });
  it('are the app’s pins before all, and remembered for everybody else', () => {
    expect(hostKeysFor(url('git@github.com:a/b'), ['x y z'], '/known')).toEqual({ mode: 'pinned', lines: ['x y z'] });
    expect(hostKeysFor(url('git@github.com.evil.example:a/b'), [], '/known')).toEqual({
      mode: 'remembered',
      file: '/known',
    });
  });
  it('reach ssh as quoted words, without any configuration or other key of the machine', () => {
    const command = sshCommand({ keyFile: "/data of 100%/it's/key", knownHosts: '/k', strict: true });
    expect(command).toContain(String.raw`'IdentityFile="/data of 100%%/it'\''s/key"'`);
    expect(command).toContain("'-F' '/dev/null'");
    for (const setting of [
      'StrictHostKeyChecking=yes',
      'IdentitiesOnly=yes',
      'IdentityAgent=none',
      'BatchMode=yes',
      'UpdateHostKeys=no',
    ]) {
      expect(command).toContain(`'-o' '${setting}'`);
    }
    expect(sshCommand({ keyFile: undefined, knownHosts: '/k', strict: false })).toContain(
      "'StrictHostKeyChecking=accept-new'",
    );
    expect(() => sshCommand({ keyFile: '/a"b', knownHosts: '/k', strict: true })).toThrow('cannot take');
  });
});

describe('masking', () => {
  it('hides a token in every form tools repeat it in', () => {
    const mask = maskSecrets(['t0ken/with+signs', 'x-access-token:t0ken/with+signs']);
    const basic = Buffer.from('x-access-token:t0ken/with+signs').toString('base64');
    for (const form of ['t0ken/with+signs', encodeURIComponent('t0ken/with+signs'), basic, basic.replaceAll('=', '')]) {
      const masked = mask(`before ${form} after`);
      expect(masked).toMatch(/^before \*\*\*=* after$/);
    }
  });
  it('hides every line of a key, and not its frame', () => {
    const key =
      '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\nAAAAEbm9uZQAAAAAAAAABAAAAMwAA\n-----END OPENSSH PRIVATE KEY-----\n';
    const mask = maskSecrets([key]);
    expect(mask('line b3BlbnNzaC1rZXktdjEAAAAABG5vbmU here')).toBe('line *** here');
    expect(mask('-----BEGIN OPENSSH PRIVATE KEY-----')).toBe('-----BEGIN OPENSSH PRIVATE KEY-----');
  });
  it('leaves a line alone that holds no secret', () => {
    expect(maskSecrets([])('nothing to hide')).toBe('nothing to hide');
    expect(maskSecrets(['', 'ab'])('abababab')).toBe('abababab');
  });
});
