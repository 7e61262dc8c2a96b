// A network for real processes: every member has a network namespace of its own, joined to the
// tests' by a bridge, so that what passes between any two can be stopped, one way or both ways,
// without either noticing more than silence. Needs to run inside a namespace that the tests may
// change (scripts/cluster.mjs sees to it); without one, members live on loopback addresses and
// nothing can be cut. A namespace lives as long as a process that ends with this one, so nothing is
// left behind even if the tests are killed. This file refuses to know what runs on the network.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);
const NETWORKS_MAX = 200;
const HOSTS_MAX = 200;
/** Host part of the address at which the tests themselves are. */
const OWN = 254;

/** A place where one member runs. */
export interface Host {
  readonly address: string;
  /** A command that runs `command` there, in the same process. */
  within(command: readonly string[]): readonly string[];
}

export class Network {
  /** Whether the ways between hosts can be cut. */
  readonly canCut: boolean;
  readonly #prefix: string;
  readonly #bridge: string;
  readonly #holders = new Map<Host, ChildProcess>();
  readonly #ports: string[] = [];
  #hosts = 0;

  private constructor(number: number, canCut: boolean) {
    this.canCut = canCut;
    this.#prefix = canCut ? `10.77.${number}` : `127.${process.pid % 250}.${number}`;
    this.#bridge = `bridge${number}`;
  }

  static async create(): Promise<Network> {
    const used = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const isFree = (n: number) => !used.some(({ address }) => address.startsWith(`10.77.${n}.`));
    const number = Array.from({ length: NETWORKS_MAX }, (_, i) => i + 1).find(isFree);
    if (number === undefined) throw new Error('no free network');
    const network = new Network(number, isIsolated());
    if (network.canCut) await network.#build();
    return network;
  }

  async host(): Promise<Host> {
    this.#hosts += 1;
    if (this.#hosts > HOSTS_MAX) throw new Error('too many hosts');
    const address = `${this.#prefix}.${this.#hosts}`;
    if (!this.canCut) return { address, within: (command) => command };
    const holder = await hold();
    const inside = ['nsenter', `--target=${holder.pid}`, '--net', '--'];
    const host: Host = { address, within: (command) => [...inside, ...command] };
    this.#holders.set(host, holder);
    const port = `${this.#bridge}p${this.#hosts}`;
    await ip([
      'link',
      'add',
      port,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      `${holder.pid}`,
    ]);
    this.#ports.push(port);
    await ip(['link', 'set', port, 'master', this.#bridge, 'up']);
    await ip(['addr', 'add', `${address}/24`, 'dev', 'eth0'], host);
    await ip(['link', 'set', 'eth0', 'up'], host);
    await ip(['link', 'set', 'lo', 'up'], host);
    await nft(host, [
      'add table ip faults',
      'add set ip faults cut { type ipv4_addr; }',
      'add chain ip faults inbound { type filter hook input priority 0; }',
      'add rule ip faults inbound ip saddr @cut drop',
    ]);
    return host;
  }

  /** From now on nothing that `from` sends reaches `to`; the other direction is left alone. */
  async cut(from: Host, to: Host): Promise<void> {
    await nft(to, [`add element ip faults cut { ${from.address} }`]);
  }

  async cutBothWays(one: readonly Host[], other: readonly Host[]): Promise<void> {
    for (const a of one) {
      for (const b of other) {
        await this.cut(a, b);
        await this.cut(b, a);
      }
    }
  }

  /** Undoes all cuts. */
  async heal(): Promise<void> {
    for (const host of this.#holders.keys()) await nft(host, ['flush set ip faults cut']);
  }

  async close(): Promise<void> {
    // A namespace ends some time after its last process; its ways would be in the way until then.
    for (const port of this.#ports) await ip(['link', 'delete', port]);
    for (const holder of this.#holders.values()) holder.kill('SIGKILL');
    if (this.canCut) await ip(['link', 'delete', this.#bridge]);
  }

  async #build(): Promise<void> {
    await ip(['link', 'set', 'lo', 'up']);
    await ip(['link', 'add', this.#bridge, 'type', 'bridge']);
    await ip(['addr', 'add', `${this.#prefix}.${OWN}/24`, 'dev', this.#bridge]);
    await ip(['link', 'set', this.#bridge, 'up']);
  }
}

/** Set by scripts/cluster.mjs when it has put this process into a namespace of its own. */
function isIsolated(): boolean {
  return process.env['CLUSTER_NET'] === 'own';
}

/** A process that does nothing but keep a new namespace; it ends when its input does. */
async function hold(): Promise<ChildProcess> {
  const command = ['--net', 'sh', '-c', 'echo ready; exec cat'];
  const child = spawn('unshare', command, { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error('no network namespace')));
    child.stdout.once('data', () => resolve());
  });
  return child;
}

async function ip(args: readonly string[], host?: Host): Promise<void> {
  await execute(['ip', ...args], host);
}

async function nft(host: Host, commands: readonly string[]): Promise<void> {
  await execute(['nft', commands.join('; ')], host);
}

async function execute(command: readonly string[], host?: Host): Promise<void> {
  const [program = '', ...args] = host === undefined ? command : host.within(command);
  await run(program, args);
}
