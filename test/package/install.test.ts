// The packages: what they put where, that they start a member by their own unit, and that neither
// installing nor removing touches what belongs to the operator. On a machine of their own, as root.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Program } from '../support/program.ts';
import { Sandbox } from './sandbox.ts';
import { buildPackages, NotifyReceiver } from './staged.ts';

const UNIT = '/usr/lib/systemd/system/etcd.service';
const READY = 'successfully notified init daemon';

let folder: string;
let machine: Sandbox;
let rpmFile: string | undefined;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etcd-install-'));
  const packages = await buildPackages(folder);
  machine = await Sandbox.open(await mkdtemp(join(folder, 'machine-')));
  for (const path of packages) {
    await machine.copy(path, path.endsWith('.deb') ? '/tmp/etcd.deb' : '/tmp/etcd.rpm');
  }
  rpmFile = packages.find((path) => path.endsWith('.rpm'));
});
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});
afterAll(async () => {
  await machine?.close();
  await rm(folder, { recursive: true, force: true });
});

/** As a machine that has never seen any etcd. */
async function forgetEtcd(): Promise<void> {
  await machine.sh(`
    dpkg --purge --force-all etcd etcd-server >/tmp/purge.log 2>&1 || true
    userdel etcd 2>/dev/null || true
    groupdel etcd 2>/dev/null || true
    rm -rf /etc/etcd /var/lib/etcd /etc/default/etcd`);
}

/** Node need not have come as a package; what the package asks for has a test of its own. */
function install(): Promise<string> {
  return machine.sh('dpkg --force-depends --install /tmp/etcd.deb </dev/null >/tmp/dpkg.log 2>&1');
}

async function unitSetting(name: string): Promise<string> {
  return machine.sh(`sed -n 's/^${name}=//p' ${UNIT}`);
}

/** The unit's command line, as systemd would run it. */
async function startUnit(...more: readonly string[]): Promise<Program> {
  const [user, folderOfWork, command] = await Promise.all(
    ['User', 'WorkingDirectory', 'ExecStart'].map(unitSetting),
  );
  const script = `cd ${folderOfWork} && exec setpriv --reuid=${user} --regid=${user} \
    --init-groups --no-new-privs ${command} ${more.join(' ')}`;
  const env = { NOTIFY_SOCKET: '/run/notify' };
  const program = machine.start(['/bin/sh', '-c', script], { env });
  open.push(program);
  return program;
}

async function listen(address: string): Promise<NotifyReceiver> {
  const receiver = await NotifyReceiver.listenIn(machine, address);
  open.push(receiver);
  return receiver;
}

it('asks for Node 20 and recommends etcdctl', async () => {
  const field = (name: string) => machine.sh(`dpkg-deb --field /tmp/etcd.deb ${name}`);
  expect(await field('Package')).toBe('etcd');
  expect(await field('Depends')).toBe('nodejs (>= 20.19)');
  expect(await field('Recommends')).toBe('etcd-client');
  expect(await field('Version')).toMatch(/^3\.7\.1\+node\d+\.\d+\.\d+-1$/);
});

it('puts program, account, unit and sample in place, and starts nothing', async () => {
  await forgetEtcd();
  await install();
  const paths = ['/usr/bin/etcd', '/etc/etcd/etcd.conf.yml', UNIT, '/var/lib/etcd'];
  expect((await machine.sh(`stat --format='%A %U:%G %n' ${paths.join(' ')}`)).split('\n')).toEqual([
    '-rwxr-xr-x root:root /usr/bin/etcd',
    '-rw-r--r-- root:root /etc/etcd/etcd.conf.yml',
    `-rw-r--r-- root:root ${UNIT}`,
    'drwx------ etcd:etcd /var/lib/etcd',
  ]);
  expect(await machine.sh('getent passwd etcd')).toMatch(/:\/var\/lib\/etcd:\/usr\/sbin\/nologin$/);
  expect(await machine.sh('etcd --version')).toMatch(/^etcd Version: 3\.7\.1\n/);
  expect(await machine.sh('ls -A /var/lib/etcd')).toBe('');
  expect(await machine.sh('cd / && md5sum --quiet -c /var/lib/dpkg/info/etcd.md5sums')).toBe('');
  const units = `${UNIT} 2>&1 || test "$(command -v systemd-analyze)" = ""`;
  expect(await machine.sh(`systemd-analyze verify --man=no ${units}`)).toBe('');
});

it('starts and stops a member by its unit', async () => {
  const receiver = await listen('/run/notify');
  const program = await startUnit();
  const uid = Number(await machine.sh('id -u etcd'));
  expect(await receiver.first()).toMatchObject({ text: 'READY=1', pid: program.pid, uid });
  await program.saw(READY);
  const post = (path: string, body: string) =>
    machine.sh(`curl -sS -m 10 -d '${body}' http://127.0.0.1:2379${path}`);
  await post('/v3/kv/put', '{"key":"aw==","value":"dg=="}');
  expect(await post('/v3/kv/range', '{"key":"aw=="}')).toContain('"value":"dg=="');
  expect(await program.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  expect(await machine.sh('ls -A /var/lib/etcd')).toBe('default.etcd');
  expect(await machine.sh('stat -c %A /var/lib/etcd/default.etcd')).toBe('drwx------');
});

it('speaks to the journal where that is asked for', async () => {
  await machine.sh(`mkdir -p /run/systemd/journal
    sed -i 's#^log-outputs:.*#log-outputs: [systemd/journal]#' /etc/etcd/etcd.conf.yml`);
  const journal = await listen('/run/systemd/journal/socket');
  await machine.sh('rm -f /run/notify');
  const notified = await listen('/run/notify');
  const program = await startUnit();
  await notified.first();
  await program.stop();
  expect(program.log).toBe('');
  const entries = journal.received;
  expect(new Set(entries.map(({ pid }) => pid))).toEqual(new Set([program.pid]));
  const texts = entries.map(({ text }) => text);
  const serving = texts.find((text) => text.includes('"msg":"serving client traffic'));
  expect(serving).toMatch(
    /^PRIORITY=6\nMESSAGE\n[\s\S]{8}\{"level":"info",[^\n]+\}\n\nPACKAGE=\w+\n/,
  );
  expect(serving).toMatch(/\nSYSLOG_IDENTIFIER=etcd\n$/);
  expect(texts.filter((text) => text.startsWith('PRIORITY=4\n')).length).toBeGreaterThan(0);
});

it('leaves data and a changed configuration when it goes, and takes its own', async () => {
  await machine.sh('dpkg --remove etcd >/tmp/remove.log 2>&1');
  expect(await machine.sh('ls /usr/bin/etcd /usr/lib/etcd-node 2>/dev/null || true')).toBe('');
  expect(await machine.sh('ls /etc/etcd /var/lib/etcd')).toContain('etcd.conf.yml');
  await machine.sh('dpkg --purge etcd >/tmp/purge.log 2>&1');
  expect(await machine.sh('ls /etc/etcd')).toBe('etcd.conf.yml');
  expect(await machine.sh('ls /var/lib/etcd')).toBe('default.etcd');
  expect(await machine.sh('getent passwd etcd | cut -d: -f1')).toBe('etcd');
});

it('leaves alone what is there when it comes, also another package of etcd', async () => {
  await forgetEtcd();
  await machine.sh(`
    groupadd --system etcd
    useradd --system --gid etcd --home-dir /data/etcd --shell /bin/bash etcd
    install -d -o etcd -g etcd -m 0750 /etc/etcd
    install -d -o etcd -g etcd -m 0770 /var/lib/etcd
    echo 'name: mine' >/etc/etcd/etcd.conf.yml
    echo secret >/etc/etcd/etcd.pass
    mkdir -p /tmp/other/DEBIAN /tmp/other/usr/bin
    echo '#!/bin/sh' >/tmp/other/usr/bin/etcd
    printf 'Package: etcd-server\\nVersion: 1\\nArchitecture: all\\n' >/tmp/other/DEBIAN/control
    printf 'Maintainer: nobody\\nDescription: another etcd\\n' >>/tmp/other/DEBIAN/control
    dpkg-deb --build /tmp/other /tmp/other.deb >/dev/null
    dpkg --install /tmp/other.deb >/dev/null`);
  await install();
  const stat = `stat --format='%a %U:%G %n' /etc/etcd /var/lib/etcd`;
  expect((await machine.sh(stat)).split('\n')).toEqual([
    '750 etcd:etcd /etc/etcd',
    '770 etcd:etcd /var/lib/etcd',
  ]);
  expect(await machine.sh('cat /etc/etcd/*')).toBe('name: mine\nsecret');
  expect(await machine.sh('getent passwd etcd')).toMatch(/:\/data\/etcd:\/bin\/bash$/);
  expect(await machine.sh('dpkg -s etcd-server 2>/dev/null | grep ^Status: || true')).not.toContain(
    'ok installed',
  );
  await install();
  expect(await machine.sh('cat /etc/etcd/*')).toBe('name: mine\nsecret');
});

it('also makes an RPM of the same files, where rpmbuild is there', async () => {
  if (rpmFile === undefined) return;
  await forgetEtcd();
  const list = 'rpm -qpl /tmp/etcd.rpm 2>/dev/null | sort';
  const files = (await machine.sh(list)).split('\n');
  const inDeb = await machine.sh(`dpkg-deb -c /tmp/etcd.deb | awk '!/^d/{print substr($6, 2)}'`);
  expect(files).toEqual(expect.arrayContaining(inDeb.split('\n').sort()));
  const rpm = 'rpm --dbpath /tmp/rpmdb --nodeps';
  await machine.sh(`rpm --dbpath /tmp/rpmdb --initdb; ${rpm} -i /tmp/etcd.rpm 2>&1`);
  expect(await machine.sh('etcd --version')).toMatch(/^etcd Version: 3\.7\.1\n/);
  expect(await machine.sh('stat -c "%a %U:%G" /var/lib/etcd')).toBe('700 etcd:etcd');
  await machine.sh('test -f /etc/etcd/etcd.conf.yml');
  await machine.sh(`${rpm} -e etcd 2>&1`);
  expect(await machine.sh('ls /usr/bin/etcd 2>/dev/null || true')).toBe('');
  expect(await machine.sh('ls -d /var/lib/etcd')).toBe('/var/lib/etcd');
});
