import type { BuildSpec } from '../../functions/builds/spec.ts';
import type { Digest } from '../../functions/runtime/units.ts';
import type { WorkFolder } from './work-folder.ts';

export type Environment = Readonly<Record<string, string>>;

/** The container engine's client, found by whoever starts the agent. */
export type EngineClient = { readonly kind: 'docker' | 'podman'; readonly bin: string; readonly buildKit: boolean };

/** A bundle as the agent made it: a finished file in the work folder, whose bytes have that digest. */
export type BundleFile = { readonly path: string; readonly digest: Digest; readonly sizeBytes: number };

/** Whom a stranger's code runs as: a user who owns nothing else on this machine. */
export type AppUser = { readonly uid: number; readonly gid: number };

/** How images are built where they go to a registry. */
export type BuildKit = {
  /** Where a BuildKit listens that runs already (`tcp://…`, `unix://…`); else one is started as a container. */
  readonly address?: string;
  /** The image of the one that is started; else what buildx takes, from Docker Hub. */
  readonly image?: string;
  /** The image that lists what an image holds; else what BuildKit takes, from Docker Hub. `none` leaves the list out. */
  readonly sbomScanner?: string;
};

/** The registry that the fleet pulls from: images are built straight into it, or copied there. */
export type Registry = {
  /** As references of images begin: `123456789012.dkr.ecr.eu-central-1.amazonaws.com`. */
  readonly server: string;
  /** This app's repository, with the server. */
  readonly repository: string;
  /** Makes the repository when it is not there; answers with `user:password` in base64. */
  readonly enter: () => Promise<string>;
  /** The image with a tag; undefined when there is none. */
  readonly find: (tag: string) => Promise<PublishedImage | undefined>;
  /** The image with a tag that was pushed just now. */
  readonly findPushed: (tag: string) => Promise<PublishedImage>;
  readonly buildKit: BuildKit;
};

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
    /**
     * Where that file does not outlive the build: brings it back from where its lines are kept, and answers with what
     * keeps those that have been added since.
     */
    readonly openKnownHosts?: () => Promise<() => Promise<void>>;
  };
  /** Undefined where there is no container engine. */
  readonly engine: EngineClient | undefined;
  /** Where the fleet pulls from a registry; undefined where it runs what the engine has. */
  readonly registry?: Registry;
  /**
   * Whom the app's own command runs as, after everything is closed that this user must not read; undefined where that
   * command may do what the agent may. Whatever it has started is ended with it.
   */
  readonly appUser?: () => Promise<AppUser>;
  /** A secret's current value by its full name. */
  readonly readSecret: (name: string) => Promise<string>;
  /** The bytes of a blob of Objects, as they come: who needs to be sure compares them. Throws `Problem('not-found')`. */
  readonly readObject: (digest: Digest) => Promise<AsyncIterable<Uint8Array>>;
  /** Stores a bundle under its digest, durably; may take the file away. */
  readonly keepBundle: (bundle: BundleFile) => Promise<void>;
  /**
   * Brings an image that the engine has to where the fleet finds it, and says what it is called there. Undefined where
   * there is a registry: then no image is the engine's.
   */
  readonly publishImage?: (image: { readonly id: string; readonly tag: string }) => Promise<PublishedImage>;
  /** Writes one line to the build's log. */
  readonly print: (line: string) => void;
};
