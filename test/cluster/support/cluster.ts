// A cluster of member processes, of one program or of several: founding, joining, leaving, who
// leads, and whether all members hold the same. Its directory is removed at the end; after a
// failure it is kept, with every member's log, and the error says where.

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Message } from '../../compat/proto.ts';
import { until } from '../../compat/servers.ts';
import { Api, headerOf } from './api.ts';
import { Member, type MemberOptions } from './member.ts';
import { type Host, Network } from './network.ts';
import type { Program } from './programs.ts';

const run = promisify(execFile);
/** The log that stays behind a mark; there is no flag for it in 3.4. */
export const ENTRIES_KEPT = 5_000;
const TOKEN = '--initial-cluster-token=cluster-test';
const PROBE_MS_MAX = 1_000;
const LEADER_MS_MAX = 20_000;
const AGREE_MS_MAX = 60_000;
const CTL_MS_MAX = 15_000;
// Members must have been in touch for 5 s, and a learner must have caught up.
const TOO_EARLY = /unhealthy cluster|in sync with leader|not enough started members/;

export interface ClusterOptions {
  readonly ctl: string;
  readonly flags?: readonly string[];
}

/** Runs `story` with a cluster without members, and clears up after it. */
export async function withCluster<T>(
  options: ClusterOptions,
  story: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'etcd-cluster-'));
  const network = await Network.create();
  const cluster = new Cluster(options, network, dir);
  let failure: unknown = null;
  try {
    return await story(cluster);
  } catch (error) {
    failure = error;
    if (error instanceof Error) error.message += `\nlogs: ${dir}`;
    throw error;
  } finally {
    await cluster.close();
    await network.close();
    if (failure === null) await rm(dir, { recursive: true, force: true });
  }
}

interface Status {
  readonly leads: boolean;
  readonly hasLeader: boolean;
  readonly term: number;
}

export class Cluster {
  readonly network: Network;
  /** `name:password` for etcdctl, where authentication is on. */
  user = '';
  readonly #options: ClusterOptions;
  readonly #dir: string;
  /** Those that belong to it, running or not. */
  readonly members: Member[] = [];
  readonly #gone: Member[] = [];
  readonly #probes = new Map<Member, Api>();
  /** How each member was first told of the others. */
  readonly #origins = new Map<Member, readonly [string, 'new' | 'existing']>();
  readonly #learners = new Set<Member>();
  #count = 0;

  constructor(options: ClusterOptions, network: Network, dir: string) {
    this.#options = options;
    this.network = network;
    this.#dir = dir;
  }

  /** A new cluster with a member of each of the programs. */
  async found(programs: readonly Program[]): Promise<void> {
    for (const program of programs) this.members.push(await this.newMember(program));
    const initial = this.members.map(({ entry }) => entry).join(',');
    for (const member of this.members) this.#origins.set(member, [initial, 'new']);
    for (const member of this.members) this.launch(member);
    await Promise.all(this.members.map((member) => member.ready()));
  }

  /** A member with a host, not yet launched and not yet known to the others. */
  async newMember(program: Program, host?: Host, name?: string): Promise<Member> {
    this.#count += 1;
    const options: MemberOptions = {
      name: name ?? `m${this.#count}`,
      program,
      host: host ?? (await this.network.host()),
      dir: this.#dir,
      flags: [TOKEN, ...(this.#options.flags ?? [])],
    };
    const member = new Member(options);
    this.#probes.set(member, new Api(member.endpoint, PROBE_MS_MAX));
    return member;
  }

  /** Adds a member to the cluster with etcdctl and starts it. */
  async join(program: Program, learner: boolean): Promise<Member> {
    const joiner = await this.newMember(program);
    const kind = learner ? ['--learner'] : [];
    await this.#patiently(['member', 'add', joiner.name, `--peer-urls=${joiner.peerUrl}`, ...kind]);
    this.members.push(joiner);
    const initial = this.members.map(({ entry }) => entry).join(',');
    this.#origins.set(joiner, [initial, 'existing']);
    if (learner) this.#learners.add(joiner);
    this.launch(joiner);
    await joiner.ready();
    return joiner;
  }

  isVoter(member: Member): boolean {
    return !this.#learners.has(member);
  }

  /** Removes a member with etcdctl; its process is left to end by itself. */
  async remove(member: Member): Promise<void> {
    const id = await this.idOf(member);
    this.members.splice(this.members.indexOf(member), 1);
    this.#gone.push(member);
    await this.#patiently(['member', 'remove', id]);
  }

  async promote(member: Member): Promise<void> {
    const id = await this.idOf(member);
    await this.#patiently(['member', 'promote', id]);
    this.#learners.delete(member);
  }

  async moveLeader(to: Member): Promise<void> {
    const leader = await this.leader();
    if (leader === to) return;
    await this.ctl(['move-leader', await this.idOf(to)], [leader]);
    await until(`${to.name} leads`, async () => ((await this.leader()) === to ? true : null));
  }

  /** Starts a member's process as it was started first. */
  launch(member: Member, more: readonly string[] = []): void {
    const [initial, state] = this.#origins.get(member) ?? ['', 'new'];
    member.launch(initial, state, more);
  }

  async restart(member: Member): Promise<void> {
    this.launch(member);
    await member.ready();
  }

  /** Member id in the form etcdctl takes. */
  async idOf(member: Member): Promise<string> {
    const { memberId } = headerOf(await member.api.must('Maintenance/Status', {}));
    return BigInt(memberId).toString(16);
  }

  /** The output of etcdctl against all members, or some. */
  async ctl(args: readonly string[], at: readonly Member[] = this.members): Promise<string> {
    // A learner answers next to nothing.
    const able = at.filter((member) => member.running && this.isVoter(member));
    const command = [`--endpoints=${able.map(({ endpoint }) => endpoint)}`, ...args];
    const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'] ?? '', ETCDCTL_API: '3' };
    if (this.user !== '') env['ETCDCTL_USER'] = this.user;
    const { stdout } = await run(this.#options.ctl, command, { env, timeout: CTL_MS_MAX });
    return stdout;
  }

  /** The member that leads, as soon as one says so of itself and nobody knows of a later term. */
  leader(msMax = LEADER_MS_MAX): Promise<Member> {
    return until('somebody leads', () => this.leaderNow(), msMax);
  }

  async leaderNow(): Promise<Member | null> {
    const known = await Promise.all(this.members.map((member) => this.#statusOf(member)));
    const newest = Math.max(0, ...known.map((status) => status?.term ?? 0));
    const leads = known.findIndex((status) => status?.leads === true && status.term === newest);
    return this.members[leads] ?? null;
  }

  /** Waits until every member that answers knows that there is no leader. */
  async noLeader(): Promise<void> {
    const known = async () => {
      const all = await Promise.all(this.members.map((member) => this.#statusOf(member)));
      return all.every((status) => status === null || !status.hasLeader) ? true : null;
    };
    await until('nobody has a leader', known, LEADER_MS_MAX);
  }

  followersOf(leader: Member): readonly Member[] {
    return this.members.filter((member) => member !== leader);
  }

  /** Waits until all members have the newest revision, and answers the hash they have in common. */
  async agree(members: readonly Member[] = this.members): Promise<string> {
    const [first] = members;
    if (first === undefined) throw new Error('nobody to agree');
    const newest = await until(
      'a linearizable read',
      async () => {
        const reply = await first.api.call('KV/Range', { key: Buffer.from('a') });
        return reply.ok ? headerOf(reply.message).revision : null;
      },
      AGREE_MS_MAX,
    );
    const hashes = await Promise.all(members.map((member) => this.#hashOf(member, newest)));
    const different = hashes.filter((hash) => hash !== hashes[0]);
    if (different.length > 0) {
      const list = members.map(({ name, program }, i) => `${name} (${program.label}) ${hashes[i]}`);
      throw new Error(`hashes at revision ${newest} differ: ${list.join(', ')}`);
    }
    return hashes[0] ?? '';
  }

  /** Puts of one key through one member, a thousand at a time. */
  async fill(member: Member, entries: number): Promise<void> {
    const put = { key: Buffer.from('fill'), value: Buffer.from('x') };
    const batch = Array.from({ length: 1_000 });
    for (let done = 0; done < entries; done += batch.length) {
      await Promise.all(batch.map(() => member.api.must('KV/Put', put)));
    }
  }

  /** How many whole states the member was sent since it was started. */
  async snapshotsTaken(member: Member): Promise<number> {
    const metrics = await (await fetch(`http://${member.endpoint}/metrics`)).text();
    const counts = metrics.matchAll(/^etcd_network_snapshot_receive_success\{.*\} (\d+)$/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  }

  async close(): Promise<void> {
    for (const probe of this.#probes.values()) probe.close();
    await Promise.all([...this.#probes.keys()].map((member) => member.close()));
  }

  /** etcdctl again and again, as long as the cluster only says that it is too early. */
  async #patiently(args: readonly string[]): Promise<void> {
    const attempt = () =>
      this.ctl(args).then(
        () => true,
        (error: Error) => {
          if (TOO_EARLY.test(error.message)) return null;
          throw error;
        },
      );
    await until(`etcdctl ${args.join(' ')}`, attempt, AGREE_MS_MAX);
  }

  async #hashOf(member: Member, revision: number): Promise<string> {
    const request: Message = { revision: `${revision}` };
    return until(
      `${member.name} (${member.program.label}) has revision ${revision}`,
      async () => {
        const reply = await member.api.call('Maintenance/HashKV', request);
        if (!reply.ok) return null;
        const { hash, compact_revision } = reply.message;
        return `${String(hash)} from ${String(compact_revision ?? 0)}`;
      },
      AGREE_MS_MAX,
    );
  }

  async #statusOf(member: Member): Promise<Status | null> {
    if (!member.running) return null;
    const reply = await this.#probes.get(member)?.call('Maintenance/Status', {});
    if (reply?.ok !== true) return null;
    const { memberId, raftTerm } = headerOf(reply.message);
    const leader = String(reply.message['leader'] ?? '0');
    return { leads: leader === memberId, hasLeader: leader !== '0', term: raftTerm };
  }
}
