import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Problem } from '../../functions/runtime/errors.ts';
import { parsePush } from '../../functions/webhook/push.ts';
import { pushOf } from './delivery-of.ts';
import { examples } from './examples.ts';

const pushes = examples.filter(({ name }) => name === 'push').flatMap((event) => event.examples);

describe('parsePush', () => {
  it("takes all of GitHub's own examples", () => {
    expect(pushes).toHaveLength(7);
    for (const push of pushes) {
      expect(parsePush(push)).toMatchObject({
        repositories: ['github.com/codertocat/hello-world'],
        pushedAtSeconds: 1_557_933_657,
        pusher: 'Codertocat',
      });
    }
  });

  it('takes a branch, a tag and what is neither apart', () => {
    const named = (ref: string) => parsePush(pushOf({ ref }));
    expect(named('refs/heads/feature/x')).toMatchObject({ kind: 'branch', name: 'feature/x' });
    expect(named('refs/tags/v1.0')).toMatchObject({ kind: 'tag', name: 'v1.0' });
    expect(named('refs/notes/commits')).toMatchObject({ kind: undefined, name: 'refs/notes/commits' });
    expect(named('refs/heads/-x')).toMatchObject({ kind: 'branch', name: '-x' });
  });

  it('takes the commit of an annotated tag, not the tag', () => {
    const push = pushOf({ ref: 'refs/tags/v1', after: 'b'.repeat(40), head_commit: { id: 'c'.repeat(40) } });
    expect(parsePush(push).commit).toBe('c'.repeat(40));
    expect(parsePush(pushOf({ head_commit: null })).commit).toBe('a'.repeat(40));
  });

  it('knows a deletion by its flag and by its zeros', () => {
    expect(parsePush(pushOf({ deleted: true })).commit).toBeUndefined();
    expect(parsePush(pushOf({ deleted: undefined, after: '0'.repeat(40), head_commit: null })).commit).toBeUndefined();
    expect(parsePush(pushOf({ after: '0'.repeat(64), head_commit: null })).commit).toBeUndefined();
  });

  it('takes no notice of how many commits there are, nor of fields it does not use', () => {
    const commits = Array.from({ length: 2048 }, (_, at) => ({
      id: String(at),
      message: 'x'.repeat(200),
      added: ['a'],
    }));
    expect(parsePush(pushOf({ commits, forced: true, base_ref: {}, sender: null, compare: 7 })).commit).toBe(
      'a'.repeat(40),
    );
  });

  it('gathers every identity of the repository, once', () => {
    const repository = {
      clone_url: 'https://ghe.example:8443/Acme/Web.git',
      ssh_url: 'ssh://git@ghe.example:2222/acme/web.git',
      git_url: 'git://ghe.example/acme/web.git',
      html_url: 'https://ghe.example:8443/acme/web',
    };
    expect(parsePush(pushOf({ repository })).repositories).toEqual([
      'ghe.example:8443/acme/web',
      'ghe.example:2222/acme/web',
      'ghe.example/acme/web',
    ]);
  });

  it.each<[string, Readonly<Record<string, unknown>>, string]>([
    ['no ref', { ref: undefined }, 'ref'],
    ['a short ref', { ref: 'main' }, 'ref'],
    ['a ref with a line end', { ref: 'refs/heads/a\nb' }, 'ref'],
    ['a ref that climbs', { ref: 'refs/heads/../x' }, 'ref'],
    ['a short commit', { after: 'abc' }, 'after'],
    ['a commit that is an option', { after: '--upload-pack=touch' }, 'after'],
    ['a head commit that is an option', { head_commit: { id: '--exec=x' } }, 'head_commit.id'],
    ['no repository', { repository: undefined }, 'repository'],
    ['a repository without a URL', { repository: {} }, 'repository.clone_url'],
    ['a repository with a hostile URL', { repository: { clone_url: 'ext::sh -c x' } }, 'repository.clone_url'],
    ['a time that is none', { repository: { clone_url: 'https://a.b/c', pushed_at: 'now' } }, 'repository.pushed_at'],
  ])('refuses %s', (_what, extra, field) => {
    expect(() => parsePush(pushOf(extra))).toThrow(
      expect.objectContaining({ kind: 'invalid', issues: [expect.objectContaining({ field })] }),
    );
  });

  it('throws nothing but a Problem, whatever it is given', () => {
    const keys = fc.constantFrom('ref', 'after', 'deleted', 'head_commit', 'repository', 'pusher');
    const mutated = fc.tuple(keys, fc.jsonValue()).map(([key, value]) => pushOf({ [key]: value }));
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), mutated), (payload) => {
        let thrown: unknown;
        try {
          parsePush(payload);
        } catch (error) {
          thrown = error;
        }
        expect(thrown === undefined || thrown instanceof Problem).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
