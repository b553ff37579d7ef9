import type { FetchSpec } from '../../functions/builds/spec.ts';
import { Problem } from '../../functions/runtime/errors.ts';
import { download, shownUrl } from './download.ts';
import { loadImage } from './load-image.ts';
import type { Outside } from './outside.ts';
import { checkBundleArchive } from './read-archive.ts';
import { addToState, timed } from './state.ts';

/** Takes a ready-made artifact from a URL. Nothing is stored unless the bytes have the digest that was named. */
export async function fetchArtifact(outside: Outside, wanted: FetchSpec): Promise<void> {
  const { work } = outside;
  const file = work.archive;
  outside.print(`Fetching ${shownUrl(wanted.url)}`);
  const { digest, sizeBytes } = await timed(work, 'download', async () => await download({ ...wanted, file }));
  if (digest !== `sha256:${wanted.sha256}`) {
    throw new Problem('invalid', `fetch.sha256: the URL gives ${digest}, not the digest that was named`);
  }
  if (wanted.artifactKind === 'image') {
    await timed(work, 'store', async () => await loadImage(outside, file, wanted.tag));
    return;
  }
  await checkBundleArchive(file);
  await timed(work, 'store', async () => await outside.keepBundle({ path: file, digest, sizeBytes }));
  await addToState(work, { artifact: { kind: 'bundle', digest, sizeBytes, reference: digest } });
  outside.print(`Bundle is ${digest} (${sizeBytes} bytes)`);
}
