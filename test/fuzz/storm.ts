/** The attacker's process: rounds of the attacks it was told of, from one seed, for a while. */

import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { Prng } from '../compat/random.ts';
import type { Attack, AttackContext, PeerTarget } from './attack.ts';
import { halfOpen, tlsGarbage, tlsInside } from './connections.ts';
import { gateway, requests, slowRequests, webSockets } from './http1.ts';
import { deafReaders, floods, frames, grpc, headerBombs, slowFrames } from './http2.ts';
import { Messages } from './messages.ts';
import { dials, peerRequests, posts, states, streams } from './peers.ts';
import type { Door } from './wire.ts';
import { pause } from './wire.ts';

export interface Target {
  readonly attacks: Readonly<Record<string, Attack>>;
  readonly hasPeers: boolean;
  readonly tls: 'never' | 'always' | 'either';
  /** Between rounds, milliseconds. */
  readonly restMs: number;
}

export const TARGETS: Readonly<Record<string, Target>> = {
  http2: { attacks: { frames, grpc, headerBombs, slowFrames }, ...lone(20) },
  floods: { attacks: { floods, deafReaders }, ...lone(200) },
  http1: { attacks: { requests, gateway, webSockets, slowRequests }, ...lone(20) },
  connections: { attacks: { halfOpen, tlsGarbage }, ...lone(200) },
  handshakes: { attacks: { halfOpen, tlsGarbage, tlsInside }, ...lone(100), tls: 'always' },
  peers: {
    attacks: { posts, peerRequests, states, dials, streams },
    hasPeers: true,
    tls: 'never',
    restMs: 20,
  },
};

function lone(restMs: number): Pick<Target, 'hasPeers' | 'tls' | 'restMs'> {
  return { hasPeers: false, tls: 'either', restMs };
}

export interface StormOptions {
  readonly root: string;
  readonly target: string;
  readonly seed: number;
  readonly seconds: number;
  readonly client: Door;
  readonly peer: PeerTarget;
}

/** Inputs sent, by attack. */
export type Counts = Record<string, number>;

const ROUND_MS_MAX = 30_000;

export async function storm(options: StormOptions): Promise<Counts> {
  setPriority(19);
  const { root, client, peer } = options;
  const { attacks, restMs } = TARGETS[options.target] as Target;
  const messages = new Messages(root);
  const corpus = readCorpus(root);
  const counts: Counts = {};
  const until = performance.now() + options.seconds * 1000;
  for (let round = 0; performance.now() < until; round++) {
    // Each round has a seed of its own, so that one can be played again alone.
    const random = new Prng(options.seed * 100_000 + round);
    const name = random.pick(Object.keys(attacks));
    const context: AttackContext = { random, messages, client, peer, corpus };
    const sent = await Promise.race([
      (attacks[name] as Attack)(context),
      pause(ROUND_MS_MAX).then(() => 0),
    ]);
    counts[name] = (counts[name] ?? 0) + sent;
    await pause(restMs);
  }
  return counts;
}

/** Files of hexadecimal lines; what follows a `#` says what the line is. */
function readCorpus(root: string): ReadonlyMap<string, readonly Buffer[]> {
  const dir = join(root, 'test/fuzz/corpus');
  const read = (file: string): Buffer[] =>
    readFileSync(join(dir, file), 'utf8')
      .split('\n')
      .map((line) => line.replace(/#.*/, '').trim())
      .filter((line) => line !== '')
      .map((line) => Buffer.from(line, 'hex'));
  return new Map(readdirSync(dir).map((file) => [file.replace(/\.hex$/, ''), read(file)]));
}
