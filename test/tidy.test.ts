// The rules of the house that neither the compiler nor the linter checks: who may import whom, what
// the pure modules may not touch, how long files and functions may get, and what documents promise.
// It reads files as text and syntax trees, and runs nothing.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FILE_LINES_MAX = 600;
const FUNCTION_LINES_MAX = 70;
const COLUMNS_MAX = 100;

/** Areas from the bottom to the top; a file imports from lower areas and its own. */
const LAYERS: readonly (readonly string[])[] = [
  ['leaf'],
  ['config', 'metrics', 'server/h2'],
  ['codec'],
  ['raft', 'mvcc', 'lease', 'auth', 'wal', 'bbolt'],
  ['replica'],
  ['tls'],
  ['peer', 'platform'],
  ['server'],
  ['etcdutl'],
  ['program'],
];
const PROGRAMS = ['etcd.ts', 'etcdctl.ts', 'etcdutl.ts', 'index.ts'];
/** Areas whose members may share types with each other, though nothing that runs. */
const PURE = ['raft', 'mvcc', 'lease', 'auth', 'wal', 'bbolt'];
/** Vocabulary that lies in an upper area and may be known, as types, from anywhere. */
const SHARED_TYPES = ['src/raft/messages.ts'];

/** Every dependency at run time, and the only place that imports it. */
const PACKAGES: Readonly<Record<string, string>> = {
  bcrypt: 'src/platform/passwords.ts',
  'classic-level': 'src/platform/level-engine.ts',
  'prom-client': 'src/metrics/',
  yaml: 'src/config/file.ts',
};
/** Packages that serve tests, scripts and benchmarks, never the product. */
const TEST_PACKAGES = ['@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs', 'typescript', 'vitest'];

/** No time, no chance, no outside world. */
const DETERMINISTIC = [
  'src/raft/',
  'src/lease/',
  'src/mvcc/',
  'src/auth/',
  'src/replica/auth-apply.ts',
  'src/replica/state-machine.ts',
  'src/replica/txn.ts',
  'src/replica/alarms.ts',
  'src/replica/cost.ts',
];
/** Nothing may happen between the beginning and the end of a call. */
const SYNCHRONOUS = [
  'src/raft/',
  'src/lease/',
  'src/auth/',
  'src/replica/auth-apply.ts',
  'src/replica/state-machine.ts',
  'src/replica/txn.ts',
];
const OUTSIDE_WORLD = [
  'Date',
  'performance',
  'process',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'crypto',
];
/** Timers are the clock's; everyone else counts ticks or is called by its owner. */
const TIMERS = ['setTimeout', 'setInterval', 'setImmediate'];
const TIMER_OWNERS = ['src/platform/'];

interface Source {
  /** Relative to the project, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly isTest: boolean;
  readonly imports: Import[];
  /** Names that are values or types, not properties of something else. */
  readonly names: Mark[];
  readonly functions: (Mark & { readonly lines: number })[];
  readonly waits: Mark[];
  readonly waysAround: Mark[];
}

interface Mark {
  readonly name: string;
  readonly line: number;
}

interface Import {
  readonly specifier: string;
  /** Nothing of it is left when the types are gone. */
  readonly typeOnly: boolean;
}

function filesUnder(folder: string, extensions: readonly string[]): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && extensions.includes(extname(entry.name)))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((path) => !path.startsWith('src/codec/gen/') && !path.startsWith('test/fixtures/'))
    .sort();
}

function load(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const kind = path.endsWith('.ts') ? ts.ScriptKind.TS : ts.ScriptKind.JS;
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true, kind);
  const isTest = path.startsWith('test/') || path.endsWith('.test.ts');
  const source: Source = {
    path,
    text,
    isTest,
    imports: [],
    names: [],
    functions: [],
    waits: [],
    waysAround: [],
  };
  walk(tree, (node) => note(source, tree, node));
  return source;
}

/** Everything that the tests below ask about one node, so that each tree is walked once. */
function note(source: Source, tree: ts.SourceFile, node: ts.Node): void {
  const line = (position: number): number => tree.getLineAndCharacterOfPosition(position).line + 1;
  const mark = (name: string): Mark => ({ name, line: line(node.getStart(tree)) });
  const imported = importOf(node);
  if (imported !== null) source.imports.push(imported);
  if (ts.isIdentifier(node) && !isMemberName(node)) source.names.push(mark(node.text));
  if (node.kind === ts.SyntaxKind.AsyncKeyword || ts.isAwaitExpression(node)) {
    source.waits.push(mark('async'));
  }
  if (ts.isFunctionLike(node) && !isSuite(node)) {
    source.functions.push({ ...mark('function'), lines: ownLines(node, line) });
  }
  const around = wayAround(node);
  if (around !== null) source.waysAround.push(mark(around));
}

const sources = ['src', 'test', 'bench', 'scripts']
  .flatMap((folder) => filesUnder(folder, ['.ts', '.mjs']))
  .map(load);
const product = sources.filter(({ path, isTest }) => path.startsWith('src/') && !isTest);
const documents = [
  ...filesUnder('docs', ['.md']),
  ...readdirSync(ROOT).filter((name) => /\.(md|json|ts)$/.test(name)),
  '.ci/run',
];

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

function importOf(node: ts.Node): Import | null {
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    return { specifier: node.moduleSpecifier.text, typeOnly: isTypeOnly(node.importClause) };
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    const { text } = node.moduleSpecifier as ts.StringLiteral;
    return { specifier: text, typeOnly: node.isTypeOnly };
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [argument] = node.arguments;
    const text = argument && ts.isStringLiteral(argument) ? argument.text : '(computed)';
    return { specifier: text, typeOnly: false };
  }
  return null;
}

function isTypeOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const { name, namedBindings } = clause;
  if (name !== undefined || namedBindings === undefined) return false;
  return ts.isNamedImports(namedBindings) && namedBindings.elements.every((e) => e.isTypeOnly);
}

function packageOf(specifier: string): string | null {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return null;
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? null);
}

function areaOf(path: string): string {
  const parts = path.split('/').slice(1);
  if (parts.length === 1) return PROGRAMS.includes(parts[0] ?? '') ? 'program' : 'leaf';
  return path.startsWith('src/server/h2/') ? 'server/h2' : (parts[0] ?? '');
}

function levelOf(area: string): number {
  return LAYERS.findIndex((layer) => layer.includes(area));
}

function within(path: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place));
}

function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isQualifiedName(parent)) return parent.right === node;
  const named =
    ts.isPropertyAssignment(parent) ||
    ts.isMethodDeclaration(parent) ||
    ts.isPropertySignature(parent) ||
    ts.isPropertyDeclaration(parent);
  return named && parent.name === node;
}

/** The lines of a function without those of the named functions and methods inside it. */
function ownLines(node: ts.Node, line: (position: number) => number): number {
  let lines = line(node.getEnd()) - line(node.getStart()) + 1;
  const visit = (child: ts.Node): void => {
    if (ts.isFunctionDeclaration(child) || ts.isMethodDeclaration(child)) {
      lines -= line(child.getEnd()) - line(child.getStart()) + 1;
    } else {
      ts.forEachChild(child, visit);
    }
  };
  ts.forEachChild(node, visit);
  return lines;
}

/** A suite is a list of tests, not a function to keep in one's head. */
function isSuite(node: ts.SignatureDeclaration): boolean {
  const { parent } = node;
  if (ts.isCallExpression(parent)) return /^describe\b/.test(parent.expression.getText());
  const body = 'body' in node ? node.body : undefined;
  if (body === undefined || !ts.isBlock(body)) return false;
  return body.statements.some((statement) => /^(describe|test|it)\b/.test(statement.getText()));
}

function expectNone(problems: readonly string[]): void {
  expect(problems.join('\n')).toBe('');
}

describe('imports', () => {
  it('go from upper areas to lower ones', () => {
    const problems: string[] = [];
    for (const source of product) {
      const area = areaOf(source.path);
      if (levelOf(area) < 0) problems.push(`${source.path}: area ${area} has no layer`);
      for (const { specifier, typeOnly } of source.imports) {
        if (!specifier.startsWith('.')) continue;
        const target = join(dirname(source.path), specifier);
        const other = areaOf(target);
        if (other === area || levelOf(other) < levelOf(area)) continue;
        if (typeOnly && within(target, SHARED_TYPES)) continue;
        if (typeOnly && PURE.includes(area) && PURE.includes(other)) continue;
        problems.push(`${source.path}: ${area} must not import ${specifier}`);
      }
    }
    expectNone(problems);
  });

  it('never lead from the product into tests', () => {
    const problems = product.flatMap((source) =>
      source.imports
        .filter(({ specifier }) => /(\.test\.ts$|\/test\/|\/bench\/)/.test(specifier))
        .map(({ specifier }) => `${source.path}: ${specifier}`),
    );
    expectNone(problems);
  });

  it('bring in each package at one place', () => {
    const problems: string[] = [];
    const used = new Set<string>();
    for (const source of product) {
      for (const { specifier } of source.imports) {
        const name = packageOf(specifier);
        if (name === null) continue;
        used.add(name);
        if (within(source.path, [PACKAGES[name] ?? ''])) continue;
        problems.push(`${source.path}: ${name} is imported in ${PACKAGES[name] ?? 'no file'}`);
      }
    }
    expectNone(problems);
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(Object.keys(manifest.dependencies).sort()).toEqual([...used].sort());
    expect(Object.keys(manifest.devDependencies)).toEqual(expect.arrayContaining(TEST_PACKAGES));
  });
});

describe('pure modules', () => {
  it('touch no time, chance, process or Node module', () => {
    const problems: string[] = [];
    for (const source of product.filter(({ path }) => within(path, DETERMINISTIC))) {
      for (const { name, line } of source.names) {
        if (OUTSIDE_WORLD.includes(name)) problems.push(`${source.path}:${line}: ${name}`);
      }
      for (const { specifier } of source.imports) {
        if (specifier.startsWith('node:')) problems.push(`${source.path}: ${specifier}`);
      }
      if (/\bMath\.random\b/.test(source.text)) problems.push(`${source.path}: Math.random`);
    }
    expectNone(problems);
  });

  it('do not wait', () => {
    const files = product.filter(({ path }) => within(path, SYNCHRONOUS));
    expectNone(
      files.flatMap(({ path, waits }) => waits.map(({ line }) => `${path}:${line}: async`)),
    );
  });
});

it('leaves timers to the clock', () => {
  const problems: string[] = [];
  for (const source of product.filter(({ path }) => !within(path, TIMER_OWNERS))) {
    for (const { name, line } of source.names) {
      if (TIMERS.includes(name)) problems.push(`${source.path}:${line}: ${name}`);
    }
    if (/\bMath\.random\b/.test(source.text)) problems.push(`${source.path}: Math.random`);
  }
  expectNone(problems);
});

describe('sources', () => {
  it('are short, and so are their lines', () => {
    const problems: string[] = [];
    for (const { path, text } of sources) {
      const lines = text.split('\n');
      if (lines.length - 1 > FILE_LINES_MAX) problems.push(`${path}: ${lines.length - 1} lines`);
      lines.forEach((line, i) => {
        if ([...line].length > COLUMNS_MAX)
          problems.push(`${path}:${i + 1}: ${line.length} columns`);
      });
    }
    expectNone(problems);
  });

  it('have short functions', () => {
    const problems = sources.flatMap(({ path, functions }) =>
      functions
        .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
        .map(({ line, lines }) => `${path}:${line}: ${lines} lines`),
    );
    expectNone(problems);
  });

  it('say at their head what they are', () => {
    const problems = sources
      .filter(({ path }) => path.startsWith('test/') || !/\.test\.\w+$/.test(path))
      .filter(({ text }) => !/^(#!.*\n)?(\/\*\*|\/\/ )/.test(text))
      .map(({ path }) => path);
    expectNone(problems);
  });

  it('use no way around the compiler, the linter or the tests', () => {
    const problems = sources.flatMap(({ path, waysAround }) =>
      waysAround.map(({ name, line }) => `${path}:${line}: ${name}`),
    );
    expectNone(problems);
  });

  it('carry no unfinished business and no switched-off checks', () => {
    const marks = ['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].map(
      (mark) => `\\b${mark}\\b`,
    );
    const switches = ['@ts-', 'biome-', 'eslint-'].map(
      (tool) => `${tool}(?:ignore|expect|disable|no)`,
    );
    const forbidden = new RegExp([...marks, ...switches].join('|'));
    expectNone(linesMatching(sources, forbidden));
  });
});

function wayAround(node: ts.Node): string | null {
  if (node.kind === ts.SyntaxKind.AnyKeyword) return 'any';
  if (ts.isNonNullExpression(node)) return 'non-null assertion';
  if (ts.isEnumDeclaration(node)) return 'enum';
  if (ts.isExportAssignment(node)) return 'default export';
  if (node.kind === ts.SyntaxKind.DefaultKeyword && !ts.isDefaultClause(node.parent)) {
    return 'default export';
  }
  if (ts.isPropertyAccessExpression(node) && ['skip', 'only', 'todo'].includes(node.name.text)) {
    if (/^(it|test|describe)\b/.test(node.expression.getText())) return `.${node.name.text}`;
  }
  return null;
}

function linesMatching(
  files: readonly { path: string; text: string }[],
  pattern: RegExp,
): readonly string[] {
  const found: string[] = [];
  for (const { path, text } of files) {
    text.split('\n').forEach((line, i) => {
      if (pattern.test(line)) found.push(`${path}:${i + 1}: ${line.trim().slice(0, 120)}`);
    });
  }
  return found;
}

describe('documents and sources', () => {
  const texts = documents.map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

  it('name no place on a particular machine', () => {
    const places = /(?<![\w.$])\/(?:work|root|home|Users)\/|\/tmp\/(?:lab|bash)/;
    expectNone(linesMatching([...sources, ...texts], places));
  });

  it('lock packages without the address they came from', () => {
    expectNone(linesMatching(texts, /"resolved":/));
  });

  it('name files that exist', () => {
    const problems: string[] = [];
    for (const { path, text } of texts.filter((document) => document.path.endsWith('.md'))) {
      for (const [, name] of text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)) {
        if (name !== undefined && !exists(join(dirname(path), name))) {
          problems.push(`${path}: ${name}`);
        }
      }
    }
    expectNone(problems);
  });

  it('show every known difference from etcd with a test', () => {
    const entries = compatEntries();
    expect(entries.length).toBeGreaterThan(10);
    const ids = entries.map(({ id }) => id);
    expectNone(ids.filter((id, i) => ids.indexOf(id) !== i));
    const problems = entries.flatMap(({ id, tests }) => {
      if (tests.length === 0) return [`${id}: names no test`];
      return tests.filter((path) => !exists(path)).map((path) => `${id}: ${path} does not exist`);
    });
    expectNone(problems);
  });
});

function exists(path: string): boolean {
  try {
    readFileSync(join(ROOT, path));
    return true;
  } catch (error) {
    // A folder is there too; it only cannot be read as a file.
    return (error as NodeJS.ErrnoException).code === 'EISDIR';
  }
}

/** Rows `| D1 | … | … | tests |` of docs/compat.md. */
function compatEntries(): { id: string; tests: string[] }[] {
  const text = readFileSync(join(ROOT, 'docs/compat.md'), 'utf8');
  const rows = text.split('\n').filter((line) => /^\| [A-Z]\d+ \|/.test(line));
  return rows.map((row) => {
    const cells = row.split('|').map((cell) => cell.trim());
    const tests = [...(cells.at(-2) ?? '').matchAll(/`([^`]+\.test\.ts)`/g)];
    return { id: cells[1] ?? '', tests: tests.map(([, path]) => path ?? '') };
  });
}
