/**
 * Where an object lies in an OSTree repository; undefined for a name that is none. What can be a name can lead nowhere
 * else. https://ostreedev.github.io/ostree/formats/
 */
export function objectPath(name: string): string | undefined {
  const object = /^([0-9a-f]{2})([0-9a-f]{62}\.(?:commit|dirtree|dirmeta|filez))$/.exec(name);
  if (object) return `objects/${object[1]}/${object[2]}`;
  // A delta's name is where it leads to, or from where to where, in base64 with `_` for `/`.
  const delta = /^([A-Za-z0-9+_]{2})([A-Za-z0-9+_]{41}(?:-[A-Za-z0-9+_]{43})?)\.(superblock|\d{1,6})\.delta$/.exec(
    name,
  );
  return delta ? `deltas/${delta[1]}/${delta[2]}/${delta[3]}` : undefined;
}
