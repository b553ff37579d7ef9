/**
 * Which folder may import which. `imports`: anything of these areas; `types`: only their types, which vanish when
 * the program runs. Every area may import itself and `runtime`. A folder without a row is not governed (test, scripts).
 */
export type Area = {
  readonly folders: readonly string[];
  readonly imports: readonly string[];
  readonly types: readonly string[];
  /** Packages that are refused, by a pattern of their names. */
  readonly refuses: RegExp;
  /** Whether the clock, randomness and the environment come as arguments only. */
  readonly pure: boolean;
};

const domainFolders = ['apps', 'builds', 'artifacts', 'deployments', 'rollout', 'access'];
const domain = domainFolders.map((folder) => `functions/${folder}`);

const sdk = /^(@aws-sdk|@smithy|aws-sdk)(\/|$)/;
/** What reaches outside the process: it is behind a port. */
const outside =
  /^(@aws-sdk|@smithy|aws-sdk|execa|dynalite|httpxy|hono|@hono\/node-server|aws-local-stepfunctions)(\/|$)|^(node:)?(fs|child_process|net|http|https|http2|tls|dgram|dns|os|process|cluster|worker_threads)(\/|$)/;
/** The same, but Hono is what routes are made of. */
const outsideButRoutes = new RegExp(outside.source.replace('|hono|', '|'));

export const areas: Readonly<Record<string, Area>> = {
  runtime: { folders: ['functions/runtime'], imports: [], types: ['ports'], refuses: sdk, pure: false },
  ports: { folders: ['functions/ports'], imports: [], types: ['domain'], refuses: outside, pure: true },
  domain: { folders: domain, imports: ['ports'], types: [], refuses: outside, pure: true },
  webhook: {
    folders: ['functions/webhook'],
    imports: ['domain', 'ports'],
    types: [],
    refuses: outsideButRoutes,
    pure: true,
  },
  workflow: { folders: ['functions/workflow'], imports: ['domain', 'ports'], types: [], refuses: outside, pure: true },
  api: {
    folders: ['functions/api'],
    imports: ['domain', 'ports', 'webhook'],
    types: [],
    refuses: outsideButRoutes,
    pure: true,
  },
  aws: {
    folders: ['functions/aws'],
    imports: ['ports'],
    types: ['domain'],
    refuses: /^(dynalite|execa)(\/|$)/,
    pure: false,
  },
  /** The entry points on AWS: they wire the ports and nothing else imports them. */
  lambda: {
    folders: ['functions/lambda'],
    imports: ['domain', 'ports', 'webhook', 'workflow', 'api', 'aws'],
    types: [],
    refuses: /^(dynalite|execa|aws-local-stepfunctions)(\/|$)/,
    pure: false,
  },
  infra: { folders: ['infra'], imports: [], types: ['domain', 'ports'], refuses: sdk, pure: false },
  local: {
    folders: ['local'],
    imports: ['domain', 'ports', 'webhook', 'workflow', 'api', 'buildspecs'],
    types: ['aws'],
    refuses: sdk,
    pure: false,
  },
  buildspecs: { folders: ['buildspecs'], imports: ['domain'], types: ['ports'], refuses: sdk, pure: false },
  cli: {
    folders: ['cli'],
    imports: [],
    types: ['domain', 'ports', 'api', 'webhook', 'workflow'],
    refuses: sdk,
    pure: false,
  },
  web: {
    folders: ['web'],
    imports: [],
    types: ['domain', 'ports', 'api', 'webhook', 'workflow'],
    refuses: sdk,
    pure: false,
  },
};

/** The places where an import is allowed against the table, each with its reason. */
export const exceptions: readonly { readonly from: string; readonly to: string; readonly why: string }[] = [
  {
    from: 'local/records.ts',
    to: 'functions/aws/',
    why: 'records are kept by the same code in both clouds, here on an embedded DynamoDB',
  },
  {
    from: 'buildspecs/aws-agent.ts',
    to: 'functions/aws/',
    why: "it is the build agent's entry on AWS, and wires what the agent reaches outside of its work folder",
  },
  {
    from: 'local/server.ts',
    to: 'scripts/build-agent.ts',
    why: 'the build agent is bundled when the server starts, by the script that bundles it for AWS',
  },
  {
    from: 'infra/main.ts',
    to: 'scripts/build-code.ts',
    why: 'what `cdk deploy` installs is bundled from the sources as they are, never from an old bundle',
  },
];

/** These may import `runtime` for its types only: their programs stand alone. */
export const typesOfRuntimeOnly: readonly string[] = ['cli', 'web'];

/** Expressions that take the time, chance or the environment from the process. */
export const impureExpressions: readonly string[] = [
  'process.env',
  'Date.now',
  'performance.now',
  'Math.random',
  'crypto.randomUUID',
];
/** The same as names that are imported; of `uuid` only v3 and v5 follow from what they are given. */
export const impureNames: readonly string[] = ['randomUUID', 'v1', 'v4', 'v6', 'v7'];

/** A name that says nothing attracts everything. */
export const meaninglessNames = /^(utils?|helpers?|common|misc)([.-]|$)/i;
export const maxFunctionFileLines = 400;
