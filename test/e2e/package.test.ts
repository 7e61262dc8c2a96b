// What is published can be installed and used: packs the project, installs the tarball into an
// empty project and runs both entries, the program and the embedding API. Expects a fresh build.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const INSTALL_MS_MAX = 180_000;
const START_MS_MAX = 30_000;

const EMBEDDING = `
import { startEtcd } from 'etcd-node';

const etcd = await startEtcd({ memory: true });
const key = Buffer.from('greeting');
const answer = await fetch(etcd.clientUrls[0] + '/v3/kv/put', {
  method: 'POST',
  body: JSON.stringify({ key: key.toString('base64'), value: 'aGVsbG8=' }),
});
if (!answer.ok) throw new Error(await answer.text());
const range = await (await fetch(etcd.clientUrls[0] + '/v3/kv/range', {
  method: 'POST',
  body: JSON.stringify({ key: key.toString('base64') }),
})).json();
console.log(Buffer.from(range.kvs[0].value, 'base64').toString(), range.header.revision);
await etcd.close();
`;

let folder: string;
let packed: { readonly filename: string; readonly files: readonly { readonly path: string }[] };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etcd-package-'));
  // The build is there already; packing must not make it anew under the other tests.
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await run('npm', pack);
  packed = JSON.parse(stdout)[0];
  await writeFile(join(folder, 'package.json'), '{"name":"user","private":true,"type":"module"}');
  const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--no-save'];
  await run('npm', [...install, `./${packed.filename}`], { cwd: folder, timeout: INSTALL_MS_MAX });
}, INSTALL_MS_MAX);

afterAll(() => rm(folder, { recursive: true, force: true }));

it('contains the build and the documents, and neither sources nor tests', () => {
  const paths = packed.files.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining([
      'LICENSE',
      'README.md',
      'CHANGELOG.md',
      'dist/etcd.js',
      'dist/etcdutl.js',
      'dist/index.js',
    ]),
  );
  expect(paths.filter((path) => /^(src|test|bench|node_modules)\//.test(path))).toEqual([]);
  expect(paths.filter((path) => path.endsWith('.test.js'))).toEqual([]);
});

it('installs the program', async () => {
  const { stdout } = await run(join(folder, 'node_modules/.bin/etcd-node'), ['--version']);
  expect(stdout).toMatch(/^etcd Version: 3\.7\.1\n/);
});

it('can be embedded', { timeout: START_MS_MAX }, async () => {
  await writeFile(join(folder, 'main.mjs'), EMBEDDING);
  const { stdout } = await run(process.execPath, ['main.mjs'], {
    cwd: folder,
    timeout: START_MS_MAX,
  });
  expect(stdout).toBe('hello 2\n');
});

it('brings types that a strict project can use', { timeout: INSTALL_MS_MAX }, async () => {
  const source = `import { startEtcd, type Etcd } from 'etcd-node';
    export const start = (): Promise<Etcd> => startEtcd({ memory: true, heartbeatInterval: 50 });`;
  await writeFile(join(folder, 'use.ts'), source);
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext'];
  const tsc = join(process.cwd(), 'node_modules/typescript/bin/tsc');
  const types = ['--types', 'node', '--typeRoots', join(process.cwd(), 'node_modules/@types')];
  const args = [tsc, ...options, ...types, '--target', 'es2023', 'use.ts'];
  await run(process.execPath, args, { cwd: folder });
});
