import * as fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { appSchema } from '../../functions/apps/schema.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { nearest } from '../../functions/runtime/nearest.ts';
import { fieldPath, parseInput } from '../../functions/runtime/parse.ts';

function problemOf(run: () => unknown): Problem {
  try {
    run();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const issuesOf = (input: unknown) => problemOf(() => parseInput(appSchema, input, 'app')).issues;

describe('parseInput', () => {
  it('names every wrong field by its path with what was expected there', () => {
    const issues = issuesOf({
      source: {},
      build: { kind: 'zip' },
      environments: [{ name: 'Dev', targets: [{ name: 'web', listenPort: 70_000 }] }],
    });
    expect(issues).toEqual([
      { field: 'source.repoUrl', expected: 'a string' },
      { field: 'build.kind', expected: 'an object whose kind is image or bundle' },
      {
        field: 'environments[0].name',
        expected: '1 to 32 lower-case letters, digits and inner dashes, a letter first',
      },
      { field: 'environments[0].targets[0].listenPort', expected: 'a whole number from 1 to 65535' },
    ]);
  });

  it('refuses each unknown field by name, with the field that was likely meant', () => {
    const issues = issuesOf({
      build: { kind: 'bundle', outptu: '.', dockerfile: 'Dockerfile' },
      environments: [{ name: 'dev', targets: [{ name: 'web', lisenPort: 1, zzz: 2 }] }],
    });
    expect(issues).toEqual([
      { field: 'build.outptu', expected: 'no such field; did you mean "output"?' },
      {
        field: 'build.dockerfile',
        expected: 'no such field; the fields here are kind, command, output, timeoutMinutes',
      },
      { field: 'environments[0].targets[0].lisenPort', expected: 'no such field; did you mean "listenPort"?' },
      {
        field: 'environments[0].targets[0].zzz',
        expected:
          'no such field; the fields here are name, cluster, service, container, desiredCount, listenPort, wave',
      },
    ]);
  });

  it('refuses fields that every object inherits, too', () => {
    const issues = issuesOf({
      ['constructor']: 1,
      toString: 1,
      environments: [{ name: 'dev', targets: [{ name: 'web' }] }],
    });
    expect(issues.map((issue) => issue.field)).toEqual(['constructor', 'toString']);
  });

  it('says of what is no object at all that it should be one', () => {
    for (const input of [null, undefined, 3, 'text', true]) {
      expect(issuesOf(input)).toEqual([{ field: '(whole)', expected: 'an object' }]);
    }
  });

  it('never repeats a value, also where a schema has no words of its own', () => {
    const schema = v.strictObject({ count: v.number(), kind: v.literal('a'), tag: v.pipe(v.string(), v.regex(/^x$/)) });
    const secret = 'hunter2-the-secret';
    const problem = problemOf(() => parseInput(schema, { count: secret, kind: secret, tag: secret }, 'thing'));
    expect(problem.issues.map((issue) => issue.field)).toEqual(['count', 'kind', 'tag']);
    expect(JSON.stringify([problem.message, problem.issues, problem.cause])).not.toContain(secret);
  });

  it('lists at most 50 fields and says how many there are', () => {
    const problem = problemOf(() =>
      parseInput(
        v.array(v.string('a string')),
        Array.from({ length: 80 }, () => 1),
        'list',
      ),
    );
    expect(problem.issues).toHaveLength(50);
    expect(problem.message).toBe('The list is not valid: [0]: a string (and 79 more).');
  });

  it('answers any JSON with the output or with a Problem, and nothing else', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (input) => {
        expect(problemOf(() => parseInput(appSchema, input, 'app')).kind).toBe('invalid');
      }),
    );
  });
});

describe('fieldPath', () => {
  it('quotes and cuts keys that are no plain names', () => {
    expect(fieldPath(['runtime', 'env', 'a b'])).toBe('runtime.env["a b"]');
    expect(fieldPath(['env', 'x'.repeat(500)]).length).toBeLessThan(80);
    expect(fieldPath(['env', 'a\nb'])).toBe('env["a\\nb"]');
  });
});

describe('nearest', () => {
  it('finds a word with a slip in it', () => {
    expect(nearest('lisenport', ['name', 'listenPort'])).toBe('listenPort');
    expect(nearest('brnach', ['branch', 'tag'])).toBe('branch');
  });
  it('finds nothing for a word of its own', () => {
    expect(nearest('colour', ['branch', 'tag', 'name'])).toBeUndefined();
  });
});
