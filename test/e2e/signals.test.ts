// How the program ends: by which signal, when, and what its log says. Expects a fresh build.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { freePort } from '../compat/servers.ts';
import { Program } from '../support/program.ts';

const ETCD = [process.execPath, '--no-warnings', 'dist/etcd.js'];
const READY = 'successfully notified init daemon';

let folder: string;
let ports: readonly number[];
const programs: Program[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etcd-signals-'));
  ports = [await freePort(), await freePort(), await freePort()];
});
afterEach(async () => {
  for (const program of programs.splice(0)) await program.close();
  await rm(folder, { recursive: true, force: true });
});

function start(others = ''): Program {
  const [client, peer] = ports.map((port) => `http://127.0.0.1:${port}`);
  const program = new Program([
    ...ETCD,
    '--name=m1',
    `--data-dir=${join(folder, 'data')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=m1=${peer}${others}`,
  ]);
  programs.push(program);
  return program;
}

it.each([
  ['SIGTERM', 'terminated'],
  ['SIGINT', 'interrupt'],
] as const)('stops on %s and ends by it', async (signal, name) => {
  const program = start();
  await program.saw(READY);
  expect(await program.stop(signal)).toEqual({ code: null, signal });
  const { messages } = program;
  expect(messages.slice(messages.indexOf('notifying init daemon'))).toEqual([
    'notifying init daemon',
    READY,
    'received signal; shutting down',
    'closing etcd server',
    'skipped leadership transfer for single voting member cluster',
    'stopping serving peer traffic',
    'stopped serving peer traffic',
    'closed etcd server',
  ]);
  expect(program.log).toContain(`"msg":"received signal; shutting down","signal":"${name}"}`);
});

it('takes no second signal while it stops', async () => {
  const program = start();
  await program.saw(READY);
  program.kill('SIGINT');
  await program.saw('received signal; shutting down');
  expect(await program.stop('SIGTERM')).toEqual({ code: null, signal: 'SIGINT' });
  expect(program.messages.at(-1)).toBe('closed etcd server');
});

it('ends at once as long as it is not ready', async () => {
  const program = start(`,m2=http://127.0.0.1:${ports[2]}`);
  await program.saw('now serving peer/client/metrics');
  expect(await program.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  expect(program.messages).not.toContain('notifying init daemon');
  expect(program.messages).not.toContain('received signal; shutting down');
});

it('is ended by SIGHUP, and by SIGQUIT with code 2, as a Go program', async () => {
  const first = start();
  await first.saw(READY);
  expect(await first.stop('SIGHUP')).toEqual({ code: null, signal: 'SIGHUP' });
  const second = start();
  await second.saw(READY);
  expect(await second.stop('SIGQUIT')).toEqual({ code: 2, signal: null });
});

it('opens no debugger when it is sent SIGUSR1', async () => {
  const program = start();
  await program.saw(READY);
  program.kill('SIGUSR1');
  program.kill('SIGUSR2');
  // Answered after both signals were taken.
  const version = await fetch(`http://127.0.0.1:${ports[0]}/version`);
  expect(version.status).toBe(200);
  expect(await program.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  expect(program.log).not.toContain('Debugger');
});
