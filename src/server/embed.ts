/** Embedding: a whole member inside another program, mostly a test. */

import { configFromOptions, type Options } from '../config/options.ts';
import { createLog, type LogLevel, silentLog } from '../log.ts';
import type { Registry } from '../metrics/prom-registry.ts';
import { systemClock } from '../platform/clock.ts';
import { hexId, type MemberId } from '../types.ts';
import { MemoryFolder } from './data-folder.ts';
import type { MemberStep } from './joint-changes.ts';
import { type Member, openMember, type Services } from './member.ts';
import type { Links } from './severable-peers.ts';

export interface EtcdOptions extends Options {
  /** Nothing is written to disk, and nothing survives `close`. */
  readonly memory?: boolean;
  /** Log lines go to stderr at this level; by default there are none. */
  readonly log?: LogLevel;
  /** The member has ended because of a broken disk or a bug; without it the process ends. */
  readonly onFatal?: (error: unknown) => void;
  /** The cluster has removed this member, which has closed itself. */
  readonly onRemoved?: () => void;
}

export interface Etcd extends AsyncDisposable {
  readonly name: string;
  /** Hex, as etcd prints it. */
  readonly memberId: string;
  readonly clusterId: string;
  /** Where clients connect, for example `http://127.0.0.1:41234`. */
  readonly clientUrls: readonly string[];
  /** Where other members connect. */
  readonly peerUrls: readonly string[];
  /** Whether this member leads its cluster. */
  readonly isLeader: boolean;
  /** The services without a network between. */
  readonly services: Services;
  /**
   * Changes several members in one step (joint consensus), which etcd's API cannot; only where all
   * members are of this implementation. Resolves with the ids of all members once it has taken
   * effect here.
   */
  changeMembers(steps: readonly MembershipStep[]): Promise<readonly string[]>;
  /** etcd's metrics for a program that serves a registry of its own. */
  metricsRegistry(): Promise<Registry>;
  close(): Promise<void>;
}

/** Ids are hex, as etcd prints them. A promotion can only be asked of the leader. */
export type MembershipStep =
  | { readonly add: readonly string[]; readonly isLearner?: boolean }
  | { readonly remove: string }
  | { readonly promote: string };

/** A member that listens and has not been started; for clusters, whose members name each other. */
export interface OpenedEtcd {
  readonly clientUrls: readonly string[];
  readonly peerUrls: readonly string[];
  start(initialCluster?: string): Promise<EmbeddedMember>;
  close(): Promise<void>;
}

export interface EmbeddedMember {
  readonly etcd: Etcd;
  readonly member: Member;
}

const LOOPBACK_ANY_PORT = 'http://127.0.0.1:0';

/**
 * Starts a member and resolves when the first linearizable write would succeed. Options are etcd's
 * flags in camelCase; URLs default to loopback with free ports. Rejects with a `ValueError` when
 * options do not fit together, and with the system's error when something cannot be opened.
 */
export async function startEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const opened = await openEtcd(options, options.memory === true ? new MemoryFolder() : null);
  const { etcd } = await opened.start();
  return etcd;
}

/** `folder` is where a member in memory keeps its state; `null`: in its data folder. */
export async function openEtcd(
  options: EtcdOptions,
  folder: MemoryFolder | null,
  links: Links | null = null,
): Promise<OpenedEtcd> {
  const { memory: _, log: level, onFatal, onRemoved, ...settings } = options;
  const given = {
    listenClientUrls: [LOOPBACK_ANY_PORT],
    listenPeerUrls: [LOOPBACK_ANY_PORT],
    ...settings,
  };
  let running: Member | null = null;
  const log =
    level === undefined ? silentLog() : createLog({ level, format: 'json', outputs: ['stderr'] });
  const opened = await openMember({
    config: configFromOptions(given).config,
    log,
    memory: folder,
    links,
    onFatal: onFatal ?? endProcess,
    onRemoved() {
      const closed = running?.close() ?? Promise.resolve();
      closed.then(() => onRemoved?.(), onFatal ?? endProcess);
    },
  });
  const { clientUrls, peerUrls } = opened;
  return {
    clientUrls,
    peerUrls,
    async start(initialCluster) {
      // What is advertised, and hashed into ids, are the ports that were found.
      const found = { ...given, listenClientUrls: clientUrls, listenPeerUrls: peerUrls };
      const { config } = configFromOptions(
        initialCluster === undefined ? found : { ...found, initialCluster },
      );
      const member = await opened.start(config);
      running = member;
      return { member, etcd: etcdOf(member, config.name) };
    },
    close: () => opened.close(),
  };
}

function stepOf(step: MembershipStep): MemberStep {
  const idOf = (hex: string): MemberId => BigInt(`0x${hex}`) as MemberId;
  if ('remove' in step) return { remove: idOf(step.remove) };
  return 'promote' in step ? { promote: idOf(step.promote) } : step;
}

function endProcess(error: unknown): void {
  // Outside of any call of ours that might be in the way: this ends the process.
  systemClock.defer(() => {
    throw error;
  });
}

function etcdOf(member: Member, name: string): Etcd {
  return {
    name,
    memberId: hexId(member.memberId),
    clusterId: hexId(member.clusterId),
    clientUrls: member.clientUrls,
    peerUrls: member.peerUrls,
    get isLeader() {
      return member.replica.isLeader;
    },
    services: member.services,
    async changeMembers(steps) {
      const members = await member.changeMembers(steps.map(stepOf));
      return members.map(({ id }) => hexId(id));
    },
    metricsRegistry: () => member.metricsRegistry(),
    close: () => member.close(),
    [Symbol.asyncDispose]: () => member.close(),
  };
}
