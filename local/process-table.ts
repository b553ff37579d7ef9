import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { readFileSync, readlinkSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';

/** The environment variable that says to which tree a process belongs; children inherit it. */
export const markVariable = 'SLUICE_MARK';

/** A running process (no zombie). `identity` differs when the pid was given to another process meanwhile. */
export type ProcessRow = {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly identity: string;
  readonly mark: string | undefined;
  /** The working folder, where the process has no terminal and the system tells. */
  readonly folder: string | undefined;
};

/** Every running process, as far as the system lets this user look. */
export async function readProcessTable(): Promise<readonly ProcessRow[]> {
  return process.platform === 'linux' ? await fromProc() : parsePs(await askPs());
}

async function fromProc(): Promise<ProcessRow[]> {
  const rows: ProcessRow[] = [];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const [index, pid] of pids.entries()) {
    // Reading procfs never waits for a disk, so synchronous calls are the quick ones; the pause lets requests through.
    if (index % 100 === 99) await setImmediate();
    const row = procRow(pid);
    if (row) rows.push(row);
  }
  return rows;
}

function procRow(pid: string): ProcessRow | undefined {
  const stat = quiet(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  if (!stat) return undefined; // It ended since the listing.
  // proc(5): the name, in brackets, may hold blanks and brackets itself; what follows it is numbers.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const number = (index: number) => Number(fields[index]);
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  const environment = quiet(() => readFileSync(`/proc/${pid}/environ`, 'utf8'));
  const hasTerminal = number(4) !== 0;
  return {
    pid: Number(pid),
    parent: number(1),
    group: number(2),
    session: number(3),
    identity: `${pid}@${fields[19]}`,
    mark: environment === undefined ? undefined : markIn(environment),
    folder: hasTerminal ? undefined : quiet(() => readlinkSync(`/proc/${pid}/cwd`)),
  };
}

function markIn(environment: string): string | undefined {
  const prefix = `${markVariable}=`;
  return environment
    .split('\0')
    .find((entry) => entry.startsWith(prefix))
    ?.slice(prefix.length);
}

async function askPs(): Promise<string> {
  const columns = 'pid=,ppid=,pgid=,stat=,command=';
  const options = process.platform === 'darwin' ? ['-A', '-E', '-ww', '-o', columns] : ['axeww', '-o', columns];
  const { stdout } = await promisify(execFile)('ps', options, { maxBuffer: 256 * 1024 * 1024 });
  return stdout;
}

/** Reads `ps` lines of pid, parent, group, state, command with environment. `ps` shows no session: the group stands in. */
export function parsePs(text: string): ProcessRow[] {
  return text.split('\n').flatMap((line) => {
    const found = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s*(.*)$/.exec(line);
    if (!found || found[4]?.startsWith('Z')) return [];
    const [pid = 0, parent = 0, group = 0] = found.slice(1, 4).map(Number);
    const mark = new RegExp(` ${markVariable}=(\\S+)`).exec(found[5] ?? '')?.[1];
    return [{ pid, parent, group, session: group, identity: String(pid), mark, folder: undefined }];
  });
}

/** A process may end, or not be ours to look at, between any two calls: then the answer is undefined. */
function quiet<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
