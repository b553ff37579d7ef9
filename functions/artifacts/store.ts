import type { RecordKey, Records } from '../ports/records.ts';
import { createRecord, getRecord, updateRecord, type Shape } from '../ports/update.ts';
import type { Digest } from '../runtime/units.ts';
import type { Artifact } from './artifact.ts';

const shape: Shape<Artifact> = { what: 'artifact' };

const keyOf = (app: string, digest: Digest): RecordKey => ({ partition: `artifacts/${app}`, sort: digest });
const fitKeyOf = (app: string, fingerprint: string): RecordKey => ({ partition: `fits/${app}`, sort: fingerprint });

/** Remembers an artifact; the first record of a digest stays. */
export async function rememberArtifact(records: Records, artifact: Artifact): Promise<Artifact> {
  const key = keyOf(artifact.app, artifact.digest);
  const created = await createRecord(records, shape, { key, value: artifact });
  return created?.value ?? (await getRecord<Artifact>(records, shape, { key })).value;
}

export async function findArtifact(records: Records, app: string, digest: Digest): Promise<Artifact | undefined> {
  return (await records.find<Artifact>(keyOf(app, digest)))?.value;
}

/** Throws `Problem('not-found')`. */
export async function getArtifact(records: Records, app: string, digest: Digest): Promise<Artifact> {
  return (await getRecord<Artifact>(records, shape, { key: keyOf(app, digest), id: `${digest} of ${app}` })).value;
}

/** Remembers where the fleet finds an image that was uploaded. */
export async function placeArtifact(
  records: Records,
  at: { readonly app: string; readonly digest: Digest; readonly reference: string },
): Promise<Artifact> {
  const { app, digest, reference } = at;
  const change = (artifact: Artifact) => (artifact.reference === reference ? undefined : { ...artifact, reference });
  return (await updateRecord(records, shape, { key: keyOf(app, digest), id: `${digest} of ${app}`, change })).value;
}

/** An app's artifacts, by digest. */
export async function* artifactsOf(records: Records, app: string): AsyncGenerator<Artifact> {
  let after: string | undefined;
  do {
    const page = await records.list<Artifact>({ partition: `artifacts/${app}`, ...(after ? { after } : {}) });
    for (const { value } of page.items) yield value;
    after = page.next;
  } while (after);
}

/** Forgets an artifact; nothing may name it any more. */
export async function forgetArtifact(records: Records, app: string, digest: Digest): Promise<void> {
  const stored = await records.find<Artifact>(keyOf(app, digest));
  if (stored) await records.remove(stored);
}

/** Remembers which artifact a build of that fingerprint made; the newest wins. */
export async function rememberFit(
  records: Records,
  fit: { app: string; fingerprint: string; digest: Digest },
): Promise<void> {
  const key = fitKeyOf(fit.app, fit.fingerprint);
  const known = await records.find<{ digest: Digest }>(key);
  if (known?.value.digest === fit.digest) return;
  // A lost race leaves another build's artifact of the same fingerprint, which fits just as well.
  await (known ? records.replace(known, { digest: fit.digest }) : records.create(key, { digest: fit.digest }));
}

/** The artifact that a build of that fingerprint made before. */
export async function findFit(records: Records, app: string, fingerprint: string): Promise<Artifact | undefined> {
  const fit = await records.find<{ digest: Digest }>(fitKeyOf(app, fingerprint));
  return fit && (await findArtifact(records, app, fit.value.digest));
}
