// The packaged program and systemd's notify protocol: exactly one READY=1, from the main process,
// by a user without privileges, when the member is published and not before.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { freePort } from '../compat/servers.ts';
import { Program } from '../support/program.ts';
import { NOBODY, NotifyReceiver, stage } from './staged.ts';

const READY = 'successfully notified init daemon';
const run = promisify(execFile);

let staged: string;
let etcd: string;
let folder: string;
let ports: readonly number[];
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  staged = await mkdtemp(join(tmpdir(), 'etcd-staged-'));
  await run('chmod', ['755', staged]);
  etcd = await stage(staged);
});
afterAll(() => rm(staged, { recursive: true, force: true }));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etcd-notify-'));
  await run('chmod', ['755', folder]);
  ports = [await freePort(), await freePort(), await freePort(), await freePort()];
});
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
  await rm(folder, { recursive: true, force: true });
});

interface Start {
  readonly command?: readonly string[];
  readonly user?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Of two: 0 or 1. `null`: alone. */
  readonly founder?: 0 | 1;
}

async function start({ command = [etcd], user = NOBODY, env = {}, founder }: Start) {
  const index = founder ?? 0;
  const data = join(folder, `data${index}`);
  await mkdir(data, { mode: 0o700 });
  await chown(data, user, user);
  const url = (port: number): string => `http://127.0.0.1:${ports[port]}`;
  const members = founder === undefined ? [0] : [0, 1];
  const flags = [
    `--name=m${index}`,
    `--data-dir=${data}`,
    `--listen-client-urls=${url(2 * index)}`,
    `--advertise-client-urls=${url(2 * index)}`,
    `--listen-peer-urls=${url(2 * index + 1)}`,
    `--initial-advertise-peer-urls=${url(2 * index + 1)}`,
    `--initial-cluster=${members.map((each) => `m${each}=${url(2 * each + 1)}`).join(',')}`,
  ];
  const program = new Program([...command, ...flags], { user, env, cwd: data });
  open.push(program);
  return program;
}

async function listen(address: string): Promise<NotifyReceiver> {
  const receiver = await NotifyReceiver.listen(address);
  open.push(receiver);
  return receiver;
}

it.each(['path', 'abstract'])(
  'comes from the main process, to a socket of kind %s',
  async (kind) => {
    const address = kind === 'path' ? join(folder, 'notify') : `@etcd-notify-${process.pid}`;
    const receiver = await listen(address);
    const program = await start({ env: { NOTIFY_SOCKET: address } });
    expect(await receiver.first()).toEqual({
      text: 'READY=1',
      pid: program.pid,
      uid: NOBODY,
      gid: NOBODY,
    });
    await program.saw(READY);
    expect(program.messages.indexOf('published local member to cluster through raft')).toBeLessThan(
      program.messages.indexOf('notifying init daemon'),
    );
    expect(datagramSockets(program.pid)).toEqual([]);
    expect(await program.stop()).toEqual({ code: null, signal: 'SIGTERM' });
    expect(receiver.received).toHaveLength(1);
  },
);

it('does not come before there is a quorum', async () => {
  const first = await listen(join(folder, 'first'));
  const second = await listen(join(folder, 'second'));
  const one = await start({ founder: 0, env: { NOTIFY_SOCKET: join(folder, 'first') } });
  await one.saw('now serving peer/client/metrics');
  expect(first.received).toEqual([]);
  const two = await start({ founder: 1, env: { NOTIFY_SOCKET: join(folder, 'second') } });
  expect(await first.first()).toMatchObject({ text: 'READY=1', pid: one.pid });
  expect(await second.first()).toMatchObject({ text: 'READY=1', pid: two.pid });
});

it('comes through systemd-notify where nobody has opened the socket', async () => {
  const address = join(folder, 'notify');
  const receiver = await listen(address);
  const command = [
    process.execPath,
    '--no-warnings',
    join(staged, 'usr/lib/etcd-node/dist/etcd.js'),
  ];
  const program = await start({ command, env: { NOTIFY_SOCKET: address } });
  const { pid, ...message } = await receiver.first();
  expect(message).toEqual({ text: 'READY=1', uid: NOBODY, gid: NOBODY });
  // Which is why the package brings NotifyAccess=all.
  expect(pid).not.toBe(program.pid);
  await program.saw(READY);
});

it('changes nothing where nobody listens, or nobody asks', async () => {
  const alone = await start({});
  await alone.saw(READY);
  await alone.stop();
  await rm(join(folder, 'data0'), { recursive: true });
  const unheard = await start({ env: { NOTIFY_SOCKET: join(folder, 'nobody') } });
  await unheard.saw('failed to notify systemd for readiness');
  const answer = await fetch(`http://127.0.0.1:${ports[0]}/health`);
  expect(await answer.json()).toEqual({ health: 'true', reason: '' });
});

it('makes /usr/bin/etcd one process, listed under its own name', async () => {
  const program = await start({});
  await program.saw(READY);
  const proc = `/proc/${program.pid}`;
  expect(readFileSync(`${proc}/comm`, 'utf8')).toBe('etcd\n');
  expect(readFileSync(`${proc}/cmdline`, 'utf8').split('\0')[0]).toBe(etcd);
  expect(readFileSync(`${proc}/task/${program.pid}/children`, 'utf8')).toBe('');
  expect(program.log).toContain(`"msg":"Running: ","args":["${etcd}",`);
});

it.each([
  ['a member that serves', 'SIGTERM', 0],
  ['a member that serves', 'SIGINT', 0],
  ['a member that waits for others', 'SIGTERM', 2],
] as const)('as process 1, %s ends on %s with %i', async (what, signal, code) => {
  const waits = what.endsWith('others');
  const unshare = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const program = await start({
    command: [...unshare, etcd],
    user: 0,
    ...(waits ? { founder: 0 as const } : {}),
  });
  await program.saw(waits ? 'now serving peer/client/metrics' : READY);
  const children = readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8');
  process.kill(Number(children.trim()), signal);
  expect(await program.end()).toEqual({ code, signal: null });
});

/** Sockets of the kind that systemd's are, held by a process. */
function datagramSockets(pid: number): readonly string[] {
  const datagram = '0002';
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n').slice(1);
  const inodes = new Set(
    lines
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[4] === datagram)
      .map((columns) => columns[6]),
  );
  return readdirSync(`/proc/${pid}/fd`)
    .map((name) => readlinkSync(`/proc/${pid}/fd/${name}`))
    .filter((target) => inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1]));
}
