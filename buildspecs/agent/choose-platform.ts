import { Problem } from '../../functions/runtime/errors.ts';
import type { Descriptor, ImageIndex, Platform } from './image-content.ts';

/** What an engine runs, in the words of images: `linux`, `amd64`. */
export type EnginePlatform = Pick<Platform, 'os' | 'architecture'>;

/**
 * The part of an index that an engine runs; pure. Of several variants the plainest: it runs wherever the others do. A
 * part without a platform is taken where it is the only one. Throws `Problem('unsupported')` naming what there is.
 */
export function choosePlatform({ manifests }: ImageIndex, wanted: EnginePlatform): Descriptor {
  // What says how an image was made lies beside it, for no platform.
  const images = manifests.filter(({ platform }) => platform?.os !== 'unknown');
  const [only] = images;
  if (only && images.length === 1 && !only.platform) return only;
  const [chosen] = images
    .filter(({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture)
    .sort((a, b) => ((a.platform?.variant ?? '') < (b.platform?.variant ?? '') ? -1 : 1));
  if (chosen) return chosen;
  const found = images.map(({ platform }) => (platform ? nameOf(platform) : 'an unnamed platform')).join(', ');
  throw new Problem(
    'unsupported',
    `The image is not for ${nameOf(wanted)}, which runs here: it is for ${found || 'none'}`,
  );
}

function nameOf({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined).join('/');
}
