// Three hosts as Pigsty prepares them for etcd: networked machines with the package installed, and
// on each the folders, configuration, unit and certificates of its role. Needs root.
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Program } from '../support/program.ts';
import { Sandbox } from './sandbox.ts';
import { NotifyReceiver } from './staged.ts';

const run = promisify(execFile);

export const ROOT_PASSWORD = 'Etcd.Root';
const UNIT = '/etc/systemd/system/etcd.service';
/** Ansible's default for keys. */
const KEY_BITS = 4096;

export interface Host {
  readonly name: string;
  readonly ip: string;
  readonly machine: Sandbox;
}

/** An authority, and certificates in the form of Pigsty's: SANs, and no usage of the key. */
export class Authority {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(folder: string, name: string): Promise<Authority> {
    await mkdir(folder, { recursive: true });
    const usage = 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature';
    await openssl(folder, [
      ...['req', '-x509', '-newkey', `rsa:${KEY_BITS}`, '-nodes', '-days', '7300'],
      ...['-subj', `/O=pigsty/OU=all/CN=${name}`, '-keyout', 'ca.key', '-out', 'ca.crt'],
      ...['-addext', usage, '-extensions', 'v3_ca'],
    ]);
    return new Authority(folder);
  }

  get caFile(): string {
    return join(this.#folder, 'ca.crt');
  }

  /** `<name>.crt` and `<name>.key` in its folder. */
  async issue(name: string, unit: string, names: readonly string[]): Promise<string> {
    const request = ['req', '-new', '-newkey', `rsa:${KEY_BITS}`, '-nodes'];
    const subject = ['-subj', `/O=pigsty/OU=${unit}/CN=${name}`];
    await openssl(this.#folder, [
      ...[...request, ...subject, '-keyout', `${name}.key`, '-out', `${name}.csr`],
    ]);
    const extensions = `subjectAltName=${names.join(',')}\n`;
    await writeFile(join(this.#folder, `${name}.ext`), extensions);
    await openssl(this.#folder, [
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key'],
      ...['-days', '7300', '-extfile', `${name}.ext`, '-out', `${name}.crt`],
    ]);
    return join(this.#folder, name);
  }
}

async function openssl(cwd: string, args: readonly string[]): Promise<void> {
  await run('openssl', [...args], { cwd });
}

/** One machine for each address, all on one network. */
export async function openHosts(folder: string, ips: readonly string[]): Promise<readonly Host[]> {
  const hosts: Host[] = [];
  for (const [i, ip] of ips.entries()) {
    const place = join(folder, `host-${i + 1}`);
    await mkdir(place);
    hosts.push({ name: `etcd-${i + 1}`, ip, machine: await Sandbox.open(place) });
  }
  const [hub] = hosts;
  if (hub === undefined) return hosts;
  await hub.machine.sh('ip link add br0 type bridge && ip link set br0 up');
  await hub.machine.sh(`ip addr add ${hub.ip}/24 dev br0`);
  for (const [i, { machine, ip }] of hosts.slice(1).entries()) {
    const link = ['ip', 'link', 'add', `port${i}`, 'type', 'veth', 'peer', 'name', 'eth0'];
    const net = ['nsenter', `--target=${hub.machine.pid}`, '--net', '--', ...link];
    const [file = '', ...args] = [...net, 'netns', String(machine.pid)];
    await run(file, args);
    await hub.machine.sh(`ip link set port${i} master br0 up`);
    await machine.sh(`ip addr add ${ip}/24 dev eth0 && ip link set eth0 up`);
  }
  return hosts;
}

/** The tasks etcd_install, etcd_dir, etcd_conf and etcd_cert. */
export async function prepareHost(
  { machine, name, ip }: Host,
  files: {
    readonly deb: string;
    readonly etcdctl: string;
    readonly authority: Authority;
    readonly initialCluster: string;
    readonly state: 'new' | 'existing';
  },
): Promise<void> {
  await machine.copy(files.deb, '/tmp/etcd.deb');
  await machine.copy(files.etcdctl, '/usr/local/bin/etcdctl');
  await machine.sh(`
    chmod 755 /usr/local/bin/etcdctl
    dpkg --purge --force-all etcd-server >/dev/null 2>&1 || true
    rm -rf /etc/etcd /var/lib/etcd
    dpkg --force-depends --install /tmp/etcd.deb </dev/null >/tmp/dpkg.log 2>&1
    install -d -o etcd -g etcd -m 0750 /etc/etcd
    install -d -o etcd -g etcd -m 0770 /var/lib/etcd
    install -d -o etcd -g etcd -m 0700 /data/etcd`);
  await put(machine, '/etc/etcd/etcd.conf', configuration({ name, ip, ...files }));
  await put(machine, UNIT, UNIT_TEXT);
  const sans = [`IP:127.0.0.1`, 'DNS:localhost', `IP:${ip}`, `DNS:${name}`];
  const pair = await files.authority.issue(name, 'etcd', sans);
  await machine.copy(files.authority.caFile, '/etc/etcd/ca.crt');
  await machine.copy(`${pair}.crt`, '/etc/etcd/server.crt');
  await machine.copy(`${pair}.key`, '/etc/etcd/server.key');
  await machine.sh(`cd /etc/etcd && chown etcd:etcd * && chmod 644 * && chmod 600 server.key`);
}

export async function put(machine: Sandbox, path: string, text: string): Promise<void> {
  await machine.sh(`cat >${path} <<'END'\n${text}\nEND`);
}

export function configuration(member: {
  readonly name: string;
  readonly ip: string;
  readonly initialCluster: string;
  readonly state: 'new' | 'existing';
}): string {
  const { name, ip, initialCluster, state } = member;
  return `# Member of the cluster that keeps the others in order
name: ${name}                             # as in the inventory
data-dir: '/data/etcd'
initial-cluster-token: 'etcd'
initial-cluster-state: ${state}
initial-cluster: ${initialCluster}
initial-advertise-peer-urls: https://${ip}:2380
listen-peer-urls: https://${ip}:2380
listen-client-urls: https://${ip}:2379,https://127.0.0.1:2379
advertise-client-urls: https://${ip}:2379
election-timeout: 1000
heartbeat-interval: 100
auto-compaction-mode: periodic
auto-compaction-retention: "24h"
quota-backend-bytes: 8589934592
#enable-v2: yes
pigsty-knows-this-key: true

client-transport-security:
  cert-file: '/etc/etcd/server.crt'
  key-file: '/etc/etcd/server.key'
  trusted-ca-file: '/etc/etcd/ca.crt'
peer-transport-security:
  cert-file: '/etc/etcd/server.crt'
  key-file: '/etc/etcd/server.key'
  trusted-ca-file: '/etc/etcd/ca.crt'`;
}

const UNIT_TEXT = `[Unit]
Description=etcd
After=network-online.target
Wants=network-online.target
[Service]
Type=notify
User=etcd
WorkingDirectory=/data/etcd
ExecStart=/usr/bin/etcd --config-file /etc/etcd/etcd.conf
Restart=on-failure
RestartSec=5
TimeoutStartSec=60
TimeoutStopSec=60
LimitNOFILE=65536
OOMScoreAdjust=-1000
[Install]
WantedBy=multi-user.target`;

export interface Service {
  readonly program: Program;
  readonly receiver: NotifyReceiver;
  close(): Promise<void>;
}

/** systemctl start: user, folder, environment and command line are the unit's. */
export async function startService({ machine }: Host): Promise<Service> {
  await machine.sh('rm -f /run/notify');
  const receiver = await NotifyReceiver.listenIn(machine, '/run/notify');
  const setting = (name: string) => machine.sh(`sed -n 's/^${name}=//p' ${UNIT}`);
  const [user, folder, command] = await Promise.all(
    ['User', 'WorkingDirectory', 'ExecStart'].map(setting),
  );
  const account = `setpriv --reuid=${user} --regid=${user} --init-groups`;
  const script = `cd ${folder} && exec ${account} ${command}`;
  const env = { NOTIFY_SOCKET: '/run/notify' };
  const program = machine.start(['/bin/sh', '-c', script], { env });
  return {
    program,
    receiver,
    async close() {
      await program.close();
      await receiver.close();
    },
  };
}

/** A shell command with the variables of /etc/profile.d/etcdctl.sh. */
export function asOperator(script: string, user: string | null = `root:${ROOT_PASSWORD}`): string {
  const login = user === null ? '' : `export ETCDCTL_USER='${user}'\n`;
  return `export ETCDCTL_ENDPOINTS=https://127.0.0.1:2379
export ETCDCTL_CACERT=/etc/etcd/ca.crt
export ETCDCTL_CERT=/etc/etcd/server.crt
export ETCDCTL_KEY=/etc/etcd/server.key
${login}${script}`;
}
