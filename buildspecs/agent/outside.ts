import type { BuildSpec } from '../../functions/builds/spec.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import type { WorkFolder } from './work-folder.ts';

export type Environment = Readonly<Record<string, string>>;

/** The container engine's client, found by whoever starts the agent. */
export type EngineClient = { readonly kind: 'docker' | 'podman'; readonly bin: string; readonly buildKit: boolean };

/** A bundle as the agent made it: a finished file in the work folder, whose bytes have that digest. */
export type BundleFile = { readonly path: string; readonly digest: Digest; readonly sizeBytes: number };

/** An image as it is known to the fleet. */
export type PublishedImage = { readonly digest: Digest; readonly reference: string; readonly sizeBytes: number };

/**
 * All that the agent reaches outside of its work folder; each cloud's entry wires it once. Nothing here is done before
 * the step that needs it asks for it.
 */
export type Outside = {
  readonly spec: BuildSpec;
  readonly work: WorkFolder;
  /** What the tools (git, ssh, the engine) get as their environment: PATH, HOME, proxies, certificates; no secret. */
  readonly environment: Environment;
  readonly git: {
    /** Transports allowed besides https and ssh: `file` where the machine may clone from itself. */
    readonly allow: readonly string[];
    /** Where host keys accepted once are remembered. */
    readonly knownHosts: string;
  };
  /** Undefined where there is no container engine. */
  readonly engine: EngineClient | undefined;
  /** A secret's current value by its full name. */
  readonly readSecret: (name: string) => Promise<string>;
  /** Stores a bundle under its digest, durably; may take the file away. */
  readonly keepBundle: (bundle: BundleFile) => Promise<void>;
  /** Brings an image that the engine has to where the fleet finds it, and says what it is called there. */
  readonly publishImage: (image: { readonly id: string; readonly tag: string }) => Promise<PublishedImage>;
  /** Writes one line to the build's log. */
  readonly print: (line: string) => void;
};
