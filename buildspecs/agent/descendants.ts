import { readdirSync, readFileSync } from 'node:fs';

/** Ends whatever this process has started, with all that these have started. What it makes meanwhile is met, too. */
export function endDescendants(): void {
  for (let round = 1; round <= 10; round++) {
    const ids = descendantsOf(process.pid);
    if (ids.length === 0) return;
    // From above: a parent that lives on could start another child while its first one is ended.
    for (const id of ids) endProcess(id);
  }
}

function descendantsOf(root: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const parent = parentOf(name);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found: number[] = [];
  const queue = [...(children.get(root) ?? [])];
  for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
    found.push(id);
    queue.push(...(children.get(id) ?? []));
  }
  return found;
}

/** Undefined for one that has ended, zombies included. The name before it may hold anything: proc(5), /proc/pid/stat. */
function parentOf(id: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, 'utf8');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

function endProcess(id: number): void {
  try {
    process.kill(id, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
