/** A learner that gets whole states from a leader, both in memory; what lies between is by hand. */

import { must } from '../../src/assert.ts';
import type { PeerEvents, Peers, SnapMessage } from '../../src/ports.ts';
import type { IncomingStateOptions } from '../../src/replica/incoming-state.ts';
import { memberJson } from '../../src/replica/members.ts';
import { openStateImage } from '../../src/replica/state-image.ts';
import type { States } from '../../src/replica/state-transfers.ts';
import { openStates } from '../../src/replica/states.ts';
import type { MemberId } from '../../src/types.ts';
import { authOptions } from './auth.ts';
import { type LoneOptions, LoneReplica, TICK_MS } from './lone-replica.ts';

export const FOLLOWER = 0x5a6c8ce0aa5376d1n as MemberId;
export const DIR = 'data';

/** Hears everything and says nothing. */
class Wire implements Peers {
  events: PeerEvents | null = null;
  start(events: PeerEvents): void {
    this.events = events;
  }
  send(): void {}
  setMembers(): void {}
  activeSinceMs(): null {
    return null;
  }
  sendSnapshot(): Promise<boolean> {
    return Promise.resolve(false);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A leader of one voter and one learner, with something in every part of its state. */
export async function startLeader(): Promise<LoneReplica> {
  const leader = await LoneReplica.start();
  const context = memberJson({
    id: FOLLOWER,
    name: '',
    peerUrls: ['http://127.0.0.1:12380'],
    clientUrls: [],
    isLearner: true,
  });
  const change = { type: 'add-learner-node', nodeId: FOLLOWER } as const;
  const added = leader.replica.changeMembership({ ...change, context: Buffer.from(context) });
  await leader.whileRunning(added);
  return leader;
}

export interface Sent {
  readonly message: SnapMessage;
  readonly body: Buffer;
}

/** The leader's state, as it would go to the follower. */
export async function stateOf(leader: LoneReplica): Promise<Sent> {
  await leader.whileRunning(leader.replica.flush());
  const { metadata, membership, image } = await openStateImage(leader.engine, async () => {});
  const pieces: Uint8Array[] = [];
  for await (const piece of image.read()) pieces.push(piece);
  await image.close();
  const message: SnapMessage = {
    type: 'snap',
    from: leader.replica.memberId,
    to: FOLLOWER,
    term: leader.replica.term,
    snapshot: { metadata, data: membership },
  };
  return { message, body: Buffer.concat(pieces) };
}

export async function* piecesOf(body: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}

export class Follower {
  readonly lone = new LoneReplica();
  readonly wire = new Wire();
  readonly #leader: LoneReplica;
  #states: States | null = null;

  constructor(leader: LoneReplica) {
    this.#leader = leader;
  }

  static async start(leader: LoneReplica): Promise<Follower> {
    const follower = new Follower(leader);
    await follower.open();
    return follower;
  }

  get incomingOptions(): IncomingStateOptions {
    const { lone } = this;
    return {
      disk: lone.disk,
      dir: DIR,
      engine: lone.engine,
      rows: lone.rows,
      stateMachine: lone.started.stateMachine,
      tickMs: TICK_MS,
      requestTimeoutTicks: 70,
      learnersMax: 1,
      leaseTtlMinSeconds: 2,
      compactionBatchLimit: 10,
      breathe: async () => {},
      onFatal: (error) => lone.fatal.push(error),
      auth: authOptions(),
      space: () => true,
    };
  }

  async open(): Promise<void> {
    const { lone } = this;
    const { clusterId, memberId } = this.#leader.replica;
    const states: States = {
      open: (signal) => must(this.#states, 'opened').open(signal),
      receive: (...args) => must(this.#states, 'opened').receive(...args),
    };
    const options: LoneOptions = {
      bootstrap: {
        start: {
          kind: 'existing',
          clusterId,
          memberId: FOLLOWER,
          remotes: [{ id: memberId, peerUrls: ['http://127.0.0.1:2380'] }],
        },
      },
      replica: { cluster: { peers: this.wire, remotes: [], states } },
    };
    await lone.open(options);
    this.#states = await openStates({ ...this.incomingOptions, engine: lone.engine });
  }

  /** What the transport does with a state that arrives. */
  receive({ message, body }: Sent): Promise<void> {
    const events = must(this.wire.events, 'the replica was started');
    return this.lone.whileRunning(events.snapshot(message, piecesOf(body)));
  }

  /** Everything that follows from what was received has come to an end. */
  async settle(): Promise<void> {
    for (let i = 0; i < 3; i++) await this.lone.clock.advance(TICK_MS);
  }
}
