/** What the engine is told, as pure lists of arguments; nothing in them is secret. */
export type ContainerOrder = {
  readonly name: string;
  readonly image: string;
  readonly port: number;
  readonly command: readonly string[];
  readonly envFile: string;
  /** Names of variables the engine takes from its client's own environment. */
  readonly passed: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
};

/**
 * No `--restart`: a task that ends is replaced by us. No `--init`: as on ECS by default, the image says what its first
 * process is. Published on loopback only, on a port the engine chooses.
 */
export function runArguments(order: ContainerOrder): string[] {
  return [
    'run',
    '--detach',
    '--name',
    order.name,
    ...Object.entries(order.labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]),
    // The output is read off at once: what the engine keeps of it is only for people who look there.
    '--log-driver',
    'json-file',
    '--log-opt',
    'max-size=10m',
    '--publish',
    `127.0.0.1::${order.port}`,
    '--env-file',
    order.envFile,
    ...order.passed.flatMap((name) => ['--env', name]),
    '--',
    order.image,
    ...order.command,
  ];
}

export const portArguments = (name: string, port: number): string[] => ['port', name, `${port}/tcp`];
export const waitArguments = (name: string): string[] => ['wait', name];
export const logsArguments = (name: string): string[] => ['logs', '--follow', name];
/** `docker stop` takes whole seconds; a part of one is given whole. */
export const stopArguments = (name: string, seconds: number): string[] => [
  'stop',
  '--time',
  String(Math.ceil(seconds)),
  name,
];
export const removeArguments = (names: readonly string[]): string[] => ['rm', '--force', '--volumes', ...names];
export const listArguments = (dataId: string): string[] => [
  'ps',
  '--all',
  '--quiet',
  '--filter',
  `label=sluice.data=${dataId}`,
  '--filter',
  'label=sluice.task',
];
export const inspectImageArguments = (image: string): string[] => ['image', 'inspect', '--format', '{{.Id}}', image];
/** One tag a line. */
export const imageTagsArguments = (image: string): string[] => [
  'image',
  'inspect',
  '--format',
  '{{range .RepoTags}}{{println .}}{{end}}',
  image,
];
/** Containers of it, and of images that are built on it. */
export const imageUsersArguments = (image: string): string[] => [
  'ps',
  '--all',
  '--quiet',
  '--filter',
  `ancestor=${image}`,
];
/** Without force: the engine refuses what a container uses. */
export const removeImagesArguments = (names: readonly string[]): string[] => ['rmi', '--', ...names];

/** `sluice-{app}-{deployment}`, and which task of which target it is. */
export function containerName(task: { app: string; deploymentId: string; target: string; number: number }): string {
  return `sluice-${task.app}-${task.deploymentId}-${task.target}-${task.number}`;
}

/** Variables the engine's own client heeds, and the dynamic linker's: they must not be set for it. */
const clientVariable =
  /^(?:PATH|HOME|TMPDIR|(?:http|https|no|all|ftp)_proxy|(?:DOCKER|BUILDKIT|COMPOSE|CONTAINER|PODMAN|XDG|LD|GO)_?.*)$/i;

/**
 * Splits a task's environment by the ways it can take. An env-file takes one line a variable and no escapes, so values
 * of several lines (keys, certificates), very long ones, and ones that begin with a quote (which newer Podmans read)
 * go through the client's environment; `impossible` names those that could do neither.
 */
export function environmentWays(env: Readonly<Record<string, string>>): {
  readonly file: string;
  readonly passed: Readonly<Record<string, string>>;
  readonly impossible: readonly string[];
} {
  const entries = Object.entries(env);
  const fits = ([, value]: [string, string]) => /^(?!["'])[^\r\n]*$/.test(value) && Buffer.byteLength(value) < 60_000;
  const others = entries.filter((entry) => !fits(entry));
  return {
    file: entries
      .filter(fits)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
    passed: Object.fromEntries(others.filter(([name]) => !clientVariable.test(name))),
    impossible: others.filter(([name]) => clientVariable.test(name)).map(([name]) => name),
  };
}
