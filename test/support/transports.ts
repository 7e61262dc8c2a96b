/** Members that consist of nothing but a transport and its peer port, on this machine. */

import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LogFields } from '../../src/log.ts';
import type { PeerLog } from '../../src/peer/context.ts';
import type { PeerObserver } from '../../src/peer/observer.ts';
import type { PeerApi } from '../../src/peer/peer-api.ts';
import { createPeerServer } from '../../src/peer/server.ts';
import { Transport } from '../../src/peer/transport.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Clock, PeerEvents, SnapMessage } from '../../src/ports.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { ClusterId, MemberId } from '../../src/types.ts';
import type { HandClock } from './hand-clock.ts';

export const CLUSTER = 0xcafe_f00d_0123_4567n as ClusterId;

export const silentApi: PeerApi = {
  clusterId: CLUSTER,
  members: () => '[]\n',
  version: () => '{}',
  promote: () => Promise.reject(new Error('not asked for')),
  leaseKeepAlive: () => Promise.reject(new Error('not asked for')),
  leaseTimeToLive: () => Promise.reject(new Error('not asked for')),
  hashKv: () => Promise.reject(new Error('not asked for')),
  downgradeEnabled: () => Promise.resolve(false),
};

export interface NodeOptions {
  readonly id: bigint;
  readonly clusterId?: ClusterId;
  readonly clock?: Clock;
  readonly observer?: PeerObserver;
  readonly api?: PeerApi;
  readonly port?: number;
  readonly snapshot?: PeerEvents['snapshot'];
}

export interface Line {
  readonly msg: string;
  readonly fields: LogFields;
}

export class TransportNode {
  readonly id: MemberId;
  readonly transport: Transport;
  readonly server: Server;
  readonly url: string;
  readonly received: Message[] = [];
  readonly unreachable: MemberId[] = [];
  readonly fatal: readonly unknown[];
  readonly lines: readonly Line[];
  removed = 0;

  private constructor(
    options: NodeOptions,
    parts: {
      readonly server: Server;
      readonly transport: Transport;
      readonly lines: Line[];
      readonly fatal: unknown[];
    },
  ) {
    const { server, transport, lines, fatal } = parts;
    this.lines = lines;
    this.fatal = fatal;
    this.id = options.id as MemberId;
    this.server = server;
    this.transport = transport;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(options: NodeOptions): Promise<TransportNode> {
    const peerUrls: string[] = [];
    const fatal: unknown[] = [];
    const lines: Line[] = [];
    const write: PeerLog['info'] = (msg, fields = {}) => {
      lines.push({ msg, fields });
    };
    const transport = new Transport({
      memberId: options.id as MemberId,
      clusterId: options.clusterId ?? CLUSTER,
      peerUrls,
      dialTimeoutMs: 2000,
      heartbeatMs: 100,
      clock: options.clock ?? systemClock,
      log: { debug: write, info: write, warn: write, error: write },
      ...(options.observer === undefined ? {} : { observer: options.observer }),
      onFatal: (error) => fatal.push(error),
    });
    const server = createPeerServer(transport, options.api ?? silentApi);
    await new Promise<void>((resolve) => {
      server.listen(options.port ?? 0, '127.0.0.1', resolve);
    });
    const node = new TransportNode(options, { server, transport, lines, fatal });
    peerUrls.push(node.url);
    transport.start({
      message: (message) => node.received.push(message),
      unreachable: (id) => node.unreachable.push(id),
      snapshot: options.snapshot ?? ((message, body) => node.#drain(message, body)),
      removed: () => node.removed++,
    });
    return node;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  knows(...others: readonly TransportNode[]): void {
    const members = [this, ...others].map(({ id, url }) => ({ id, peerUrls: [url] }));
    this.transport.setMembers(members, new Set());
  }

  /** How often `other` has dialled this one for messages, over both streams. */
  streamsTo(other: { readonly id: MemberId }): number {
    const id = other.id.toString(16);
    return this.lines.filter(
      ({ msg, fields }) => msg === 'set message encoder' && fields['to'] === id,
    ).length;
  }

  isActive(other: { readonly id: MemberId }): boolean {
    return this.transport.activeSinceMs(other.id) !== null;
  }

  async close(): Promise<void> {
    await this.transport.close();
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  async #drain(message: SnapMessage, body: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const _ of body) {
      // Only the end matters.
    }
    this.received.push(message);
  }
}

/** Until `holds`; the test's own timeout bounds it. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

/** What a test has to end, in order. */
export const cleanups: (() => Promise<void>)[] = [];

/** A node that `closeAll` ends. */
export async function start(options: NodeOptions): Promise<TransportNode> {
  const node = await TransportNode.start(options);
  cleanups.push(async () => {
    await node.close();
    if (node.fatal.length > 0) throw new Error('a bug', { cause: node.fatal[0] });
  });
  return node;
}

export async function closeAll(): Promise<void> {
  for (const cleanup of cleanups.splice(0)) await cleanup();
}

/** Until every one of them has both streams to every other. */
export async function meet(...nodes: readonly TransportNode[]): Promise<void> {
  for (const node of nodes) node.knows(...nodes.filter((other) => other !== node));
  await streams(...nodes);
}

/** The same, for nodes that know each other; counted from the beginning. */
export async function streams(...nodes: readonly TransportNode[]): Promise<void> {
  await eventually(() =>
    nodes.every((node) => nodes.every((other) => node === other || node.streamsTo(other) >= 2)),
  );
}

/** Moves the clock until `holds`, slowly enough for what goes over sockets meanwhile. */
export async function pass(clock: HandClock, holds: () => boolean): Promise<void> {
  while (!holds()) {
    await clock.advance(50);
    for (let i = 0; i < 20; i++) await clock.settle();
  }
}
