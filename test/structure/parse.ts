import { posix } from 'node:path';
import { parseSync } from 'vite';
import { impureExpressions, impureNames } from './rules.ts';

export type Import = {
  /** A path from the root of the repository, or the name of a package. */
  readonly target: string;
  readonly isPackage: boolean;
  readonly typeOnly: boolean;
};
export type Source = {
  readonly path: string;
  readonly imports: readonly Import[];
  /** Impure expressions as they are written, `Date.now`; what cannot be followed, `import(name)`. */
  readonly impure: readonly string[];
  readonly lines: number;
};

/** Reads a TypeScript file with a real parser: what it imports, for values or for types, and what it uses. */
export function parseSource(path: string, text: string): Source {
  const { program, errors } = parseSync(path, text, { lang: 'ts' });
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0]?.message}`);
  const imports: Import[] = [];
  const impure: string[] = [];
  walk(program as unknown as Node, (node) => {
    const found = importOf(node);
    if (found) imports.push(resolve(path, found));
    const use = impureUse(node, text);
    if (use) impure.push(use);
  });
  return { path, imports, impure, lines: text.trimEnd().split('\n').length };
}

type Node = { readonly type: string; readonly start: number; readonly end: number; readonly [field: string]: unknown };

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const field of Object.values(node)) {
    for (const child of Array.isArray(field) ? field : [field]) if (isNode(child)) walk(child, visit);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

type Found = { readonly name: string; readonly typeOnly: boolean };

/** What a node imports; a dynamic import of something computed has the name `import(…)`. */
function importOf(node: Node): Found | undefined {
  const name = isNode(node['source']) ? literal(node['source']) : undefined;
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
      return name === undefined ? undefined : { name, typeOnly: isTypeOnly(node) };
    case 'TSImportType':
      return name === undefined ? undefined : { name, typeOnly: true };
    case 'ImportExpression':
      return { name: name ?? 'import(…)', typeOnly: false };
    default:
      return undefined;
  }
}

function isTypeOnly(node: Node): boolean {
  if (node['importKind'] === 'type' || node['exportKind'] === 'type') return true;
  const specifiers = Array.isArray(node['specifiers']) ? node['specifiers'].filter(isNode) : [];
  return (
    specifiers.length > 0 &&
    specifiers.every((specifier) => specifier['importKind'] === 'type' || specifier['exportKind'] === 'type')
  );
}

function literal(node: Node): string | undefined {
  return typeof node['value'] === 'string' ? node['value'] : undefined;
}

function resolve(from: string, { name, typeOnly }: Found): Import {
  const isPackage = !name.startsWith('.');
  return { target: isPackage ? name : posix.join(posix.dirname(from), name), isPackage, typeOnly };
}

function impureUse(node: Node, text: string): string | undefined {
  const written = text.slice(node.start, node.end);
  const parts = Array.isArray(node['arguments']) ? node['arguments'] : [];
  const callee = isNode(node['callee']) ? node['callee'] : undefined;
  if (node.type === 'MemberExpression') return impureExpressions.find((use) => memberName(node) === use);
  if (node.type === 'ImportSpecifier') return impureNames.find((name) => importedName(node) === name);
  const isDate = callee?.type === 'Identifier' && callee['name'] === 'Date';
  if (isDate && (node.type === 'CallExpression' || parts.length === 0)) return written;
  return undefined;
}

function importedName(specifier: Node): string | undefined {
  return isNode(specifier['imported']) ? String(specifier['imported']['name']) : undefined;
}

/** `Date.now`, also for `Date['now']` and `globalThis.Date.now`. */
function memberName(node: Node): string {
  const { object, property } = node;
  if (!isNode(object) || !isNode(property)) return '';
  const owner = object.type === 'MemberExpression' ? memberName(object).split('.').at(-1) : object['name'];
  return `${String(owner)}.${literal(property) ?? String(property['name'])}`;
}
