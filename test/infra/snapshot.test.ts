import { describe, expect, it } from 'vitest';
import { stages } from '../../infra/stages.ts';
import { templateOf } from './stand-in.ts';

/**
 * The whole template of each stage, to be read in a review: `npx vitest run test/infra/snapshot.test.ts -u` writes it
 * anew. Digests of code are left out, and so are the definition and the buildspecs, which stand in files of their own.
 */
function steady(template: object): string {
  const json = JSON.stringify(
    template,
    (name, value: unknown) => (name === 'DefinitionString' || name === 'BuildSpec' ? '(a file of its own)' : value),
    2,
  );
  return `${json
    .replaceAll(/[0-9a-f]{64}\.zip/g, '(digest).zip')
    .replaceAll(/(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}/g, '$1')}\n`;
}

describe('the template', () => {
  it.each(Object.entries(stages))('of %s is as it was reviewed', async (stage, config) => {
    await expect(steady(templateOf(config).toJSON())).toMatchFileSnapshot(`snapshots/${stage}.json`);
  });

  it('has no digest of the code in its snapshot', () => {
    expect(steady(templateOf().toJSON())).not.toMatch(/[0-9a-f]{32}/);
  });
});
