import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { ControlPlaneConfig } from '../../infra/config.ts';
import { ControlPlaneStack } from '../../infra/control-plane-stack.ts';
import { functionNames } from '../../infra/permissions.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-infra-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

/** Folders as the bundler leaves them, with next to nothing in them. */
export const code = { functions: join(folder, 'functions'), agent: join(folder, 'agent') };
for (const path of Object.values(code)) mkdirSync(path);
for (const name of functionNames)
  writeFileSync(join(code.functions, `${name}.mjs`), 'export const handler = () => {};\n');
writeFileSync(join(code.agent, 'agent.mjs'), '\n');

/** A new folder for a synthesis, gone with the process. */
export const outFolder = (): string => mkdtempSync(join(folder, 'out-'));

export type Resource = {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
  readonly DependsOn?: readonly string[];
};

/** The template of a configuration, without the checks: they have a test of their own. */
export function templateOf(config: Partial<ControlPlaneConfig> = {}): Template {
  const app = new App({ outdir: outFolder(), analyticsReporting: false });
  return Template.fromStack(new ControlPlaneStack(app, 'control', { config: { prefix: 'sluice', ...config }, code }));
}

/** Every resource of a type, by its logical id. */
export function resourcesOf(template: Template, type: string): readonly (readonly [string, Resource])[] {
  return Object.entries(template.findResources(type)) as [string, Resource][];
}

/** The one resource of a type whose logical id begins so. */
export function resourceOf(template: Template, type: string, start = ''): Resource {
  const found = resourcesOf(template, type).filter(([id]) => id.startsWith(start));
  if (found.length !== 1 || !found[0]) throw new Error(`There are ${found.length} ${type} that begin with ${start}`);
  return found[0][1];
}

/** A value of a template as text: `<AWS::Region>` for what it refers to. */
export function flat(value: unknown): string {
  if (typeof value === 'string') return value.replaceAll(/\$\{([^}]+)\}/g, '<$1>');
  const known = value as {
    'Fn::Join'?: [string, unknown[]];
    'Fn::GetAtt'?: string[];
    Ref?: string;
    'Fn::Sub'?: string;
  };
  if (known['Fn::Join']) return known['Fn::Join'][1].map(flat).join(known['Fn::Join'][0]);
  if (known['Fn::GetAtt']) return `<${known['Fn::GetAtt'].join('.')}>`;
  if (known['Fn::Sub']) return flat(known['Fn::Sub']);
  return `<${known.Ref ?? JSON.stringify(value)}>`;
}

export type Statement = {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
};

/** The statements of a role's own policies. */
export function statementsOf(role: Resource): readonly Statement[] {
  const policies = (role.Properties['Policies'] ?? []) as { PolicyDocument: { Statement: Statement[] } }[];
  return policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
}
export const listOf = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value as T]);
