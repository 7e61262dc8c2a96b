// The data folder as its operator finds it: permissions, what cannot be written to, and a second
// process on the same folder. Expects a fresh build.
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { freePort } from '../compat/servers.ts';
import { Program } from '../support/program.ts';

const READY = 'successfully notified init daemon';
const ADVICE =
  'The recommended permission is \\"-rwx------\\" to prevent possible unprivileged access to ' +
  'the data';

let folder: string;
let data: string;
const programs: Program[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etcd-folder-'));
  data = join(folder, 'data');
});
afterEach(async () => {
  for (const program of programs.splice(0)) await program.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<Program> {
  const [client, peer] = [await freePort(), await freePort()].map((port) => `localhost:${port}`);
  const program = new Program([
    process.execPath,
    '--no-warnings',
    'dist/etcd.js',
    `--data-dir=${data}`,
    `--listen-client-urls=http://${client?.replace('localhost', '127.0.0.1')}`,
    `--advertise-client-urls=http://${client}`,
    `--listen-peer-urls=http://${peer?.replace('localhost', '127.0.0.1')}`,
  ]);
  programs.push(program);
  return program;
}

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

it('is made for its owner alone, without a warning', async () => {
  const program = await start();
  await program.saw(READY);
  for (const path of ['', 'member', 'member/snap', 'member/wal']) {
    expect(await modeOf(join(data, path))).toBe('700');
  }
  expect(program.messages).not.toContain('check file permission');
});

it('keeps the permissions that it has, with a warning for others than 0700', async () => {
  await mkdir(data);
  await chmod(data, 0o1755);
  const program = await start();
  await program.saw(READY);
  expect(program.log).toContain(
    `"msg":"check file permission","error":"directory \\"${data}\\" exist, but the permission is ` +
      `\\"dtrwxr-xr-x\\". ${ADVICE}"}`,
  );
  expect(await modeOf(data)).toBe('755');
});

it('ends the start where it cannot be written to', async () => {
  await mkdir(data, { mode: 0o700 });
  await writeFile(join(data, 'member'), '');
  const program = await start();
  expect(await program.end()).toEqual({ code: 1, signal: null });
  const reason = `open ${data}/member/.touch: not a directory`;
  const error = `"error":"cannot access member directory: ${reason}"`;
  expect(program.log).toContain(`"msg":"bootstrap failed",${error}`);
  expect(program.log).toContain(`"msg":"discovery failed",${error}`);
});

it('is refused to a second process, which ends at once', async () => {
  const first = await start();
  await first.saw(READY);
  const second = await start();
  expect(await second.end()).toEqual({ code: 1, signal: null });
  expect(second.log).toContain('another process uses the database in');
  expect(await first.stop()).toEqual({ code: null, signal: 'SIGTERM' });
});
