import { parseSource, type Import, type Source } from './parse.ts';
import { areas, exceptions, maxFunctionFileLines, meaninglessNames, typesOfRuntimeOnly, type Area } from './rules.ts';

/** What breaks the rules of `rules.ts`, one sentence each; `files` maps paths from the root to their text. */
export function violations(files: ReadonlyMap<string, string>): readonly string[] {
  const sources = [...files].map(([path, text]) => parseSource(path, text));
  return [...sources.flatMap(violationsOf), ...cycles(sources.filter(({ path }) => path.startsWith('functions/')))];
}

function violationsOf(source: Source): string[] {
  const found = source.path.split('/').filter((part) => meaninglessNames.test(part));
  const told = found.map((part) => `${source.path}: the name ${part} says nothing`);
  if (source.path.startsWith('functions/') && source.lines > maxFunctionFileLines) {
    told.push(`${source.path}: has ${source.lines} lines, more than ${maxFunctionFileLines}`);
  }
  const name = areaOf(source.path);
  const area = name === undefined ? undefined : areas[name];
  if (name === undefined || !area) return told;
  const refused = source.imports.filter((imported) => !isAllowed(source.path, imported, { name, area }));
  told.push(...refused.map((imported) => `${source.path}: ${name} may not import ${describe(imported)}`));
  if (area.pure) told.push(...source.impure.map((use) => `${source.path}: ${name} may not use ${use}`));
  return told;
}

function isAllowed(from: string, imported: Import, own: { readonly name: string; readonly area: Area }): boolean {
  const { target, isPackage, typeOnly } = imported;
  if (isPackage) return target !== 'import(…)' && !own.area.refuses.test(target);
  if (exceptions.some((exception) => exception.from === from && target.startsWith(exception.to))) return true;
  const area = areaOf(target);
  if (area === own.name) return true;
  if (area === 'runtime') return typeOnly || !typesOfRuntimeOnly.includes(own.name);
  // A file beside the folders, package.json; but no file of a folder that is nobody's, as test.
  if (area === undefined) return !target.includes('/');
  return own.area.imports.includes(area) || (typeOnly && own.area.types.includes(area));
}

function areaOf(path: string): string | undefined {
  return Object.entries(areas).find(([, { folders }]) => folders.some((folder) => path.startsWith(`${folder}/`)))?.[0];
}

function describe({ target, typeOnly }: Import): string {
  return typeOnly ? `${target} (not even its types)` : target;
}

/** Files that import one another in a ring, for values: which of them runs first is chance. */
function cycles(sources: readonly Source[]): string[] {
  const next = new Map(sources.map(({ path, imports }) => [path, valuesOf(imports)]));
  const done = new Set<string>();
  const told: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start >= 0) told.push(`${[...way.slice(start), path].join(' → ')}: a cycle`);
    if (start >= 0 || done.has(path)) return;
    for (const target of next.get(path) ?? []) visit(target, [...way, path]);
    done.add(path);
  };
  for (const path of next.keys()) visit(path, []);
  return told;
}

function valuesOf(imports: readonly Import[]): readonly string[] {
  return imports.filter(({ typeOnly, isPackage }) => !typeOnly && !isPackage).map(({ target }) => target);
}
