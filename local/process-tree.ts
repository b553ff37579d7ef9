import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { sep } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { markVariable, readProcessTable, type ProcessRow } from './process-table.ts';

export type TreeOptions = {
  readonly command: readonly string[];
  readonly cwd: string;
  /** The whole environment: nothing of this process's own is added but the mark. */
  readonly env: Readonly<Record<string, string>>;
  /** Names the tree, `<dataFolderId>/build/<id>`: no blanks, no control characters. */
  readonly mark: string;
  readonly stdio?: StdioOptions;
};

/**
 * Starts a command as the root of a process tree that `killTree` can end whole: in a session of its own, with the mark
 * in its environment. A command that cannot be started shows by the child's `error` event, as with `spawn`.
 */
export function spawnTree(options: TreeOptions): ChildProcess {
  if (!/^[!-~]+$/.test(options.mark)) throw new TypeError('a mark has printable characters only, and no blank');
  const [file, ...args] = options.command;
  if (file === undefined) throw new TypeError('a command has at least one word');
  return spawn(file, args, {
    cwd: options.cwd,
    env: { ...options.env, [markVariable]: options.mark },
    detached: true,
    stdio: options.stdio ?? ['ignore', 'pipe', 'pipe'],
  });
}

/**
 * Ends every process of a tree: SIGTERM, up to `graceSeconds` for them to go, then SIGKILL until none is left.
 * Resolves when nothing of it runs; harmless for a tree that is gone.
 *
 * A process belongs to the tree when it carries the mark, or shares a session or process group with, or descends from,
 * one that does: so forking, `setsid`, losing the parent and ignoring SIGTERM help no one. One that did all this and
 * wiped its environment besides is found by its working folder, where `within` names a folder that is the tree's alone.
 * What another user owns (by `sudo`) cannot be ended by us and is not waited for.
 */
export async function killTree(mark: string, options: { graceSeconds: number; within?: string }): Promise<void> {
  const deadline = performance.now() + options.graceSeconds * 1000;
  const tree: Tree = { mark, known: new Set(), within: options.within };
  const told = new Set<string>();
  let waitMs = 5;
  // One empty scan proves nothing: a process in the midst of an exec shows an empty environment for an instant, and one
  // that forks and ends again and again can always be where the scan has been already.
  for (let emptyScans = 0; emptyScans < 4; waitMs = Math.min(waitMs * 1.5, 100)) {
    const members = [...membersOf(await readProcessTable(), tree)].filter((member) => signal(member.pid, 0));
    emptyScans = members.length === 0 ? emptyScans + 1 : 0;
    const leftMs = deadline - performance.now();
    if (leftMs > 0) for (const member of untold(members, told)) askToEnd(member, told);
    else for (const member of members) signal(member.pid, 'SIGKILL');
    await goneOrPause(members, leftMs > 0 ? Math.min(waitMs, leftMs) : 10);
  }
}

/** The marks that begin with `prefix`, of all running processes: what a server killed before has left behind. */
export async function findMarks(prefix: string): Promise<readonly string[]> {
  const marks = (await readProcessTable()).map((row) => row.mark).filter((mark) => mark !== undefined);
  return [...new Set(marks)].filter((mark) => mark.startsWith(prefix)).sort();
}

type Tree = { readonly mark: string; readonly known: Set<string>; readonly within: string | undefined };

/** The tree's processes; adds them to `known`, as one that wipes its environment later stays a member. */
function membersOf(table: readonly ProcessRow[], tree: Tree): ReadonlySet<ProcessRow> {
  const own = table.find((row) => row.pid === process.pid);
  // A tree never shares our session, so nothing there is ever signalled, whatever its environment says.
  const others = table.filter((row) => row.pid > 1 && row.session !== own?.session);
  const members = new Set<ProcessRow>();
  const join = (row: ProcessRow) => {
    if (members.has(row)) return;
    members.add(row);
    tree.known.add(row.identity);
    for (const other of others) if (isKin(other, row)) join(other);
  };
  for (const row of others) if (row.mark === tree.mark || tree.known.has(row.identity)) join(row);
  for (const row of others) if (isStray(row, others, tree.within)) members.add(row);
  return members;
}

/** Trees have sessions of their own, made by `spawnTree` or by themselves: whoever shares one belongs to the tree. */
function isKin(other: ProcessRow, member: ProcessRow): boolean {
  // 0 stands for one that cannot be seen from here (in a container), 1 for the system's own: neither is a tree's.
  const same = (one: number, two: number) => one === two && one > 1;
  return other.parent === member.pid || same(other.session, member.session) || same(other.group, member.group);
}

/** A daemon in the tree's folder. A person's shell that looks around there is none: it has a terminal or a live leader. */
function isStray(row: ProcessRow, table: readonly ProcessRow[], within: string | undefined): boolean {
  if (within === undefined) return false;
  const inside = (folder: string | undefined) => folder !== undefined && `${folder}${sep}`.startsWith(within + sep);
  if (!inside(row.folder)) return false;
  const leader = table.find((other) => other.pid === row.session);
  return leader === undefined || inside(leader.folder);
}

/** Who is to get a SIGTERM: everybody once, but not what one who got it has started since to clean up after itself. */
function untold(members: readonly ProcessRow[], told: ReadonlySet<string>): readonly ProcessRow[] {
  const byPid = new Map(members.map((member) => [member.pid, member]));
  const spared = (member: ProcessRow | undefined): boolean =>
    member !== undefined && (told.has(member.identity) || spared(byPid.get(member.parent)));
  return members.filter((member) => !spared(member));
}

function askToEnd(member: ProcessRow, told: Set<string>): void {
  told.add(member.identity);
  signal(member.pid, 'SIGTERM');
  signal(member.pid, 'SIGCONT'); // A stopped process gets its SIGTERM only when it runs again.
}

async function goneOrPause(watched: readonly ProcessRow[], milliseconds: number): Promise<void> {
  const until = performance.now() + milliseconds;
  do await pause(Math.min(5, milliseconds));
  while (performance.now() < until && watched.some((member) => signal(member.pid, 0)));
}

/** Whether the process could be signalled: no when it is gone, or is another user's. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
