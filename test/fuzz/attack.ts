/** What the attacks have in common. */

import type { Prng } from '../compat/random.ts';
import type { Messages } from './messages.ts';
import type { Door } from './wire.ts';

export interface PeerTarget {
  readonly door: Door;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** The member that the attacker pretends to be, and where others dial it. */
  readonly ownId: bigint;
  readonly ownPort: number;
}

export interface AttackContext {
  readonly random: Prng;
  readonly messages: Messages;
  readonly client: Door;
  readonly peer: PeerTarget;
  /** Inputs that are known to be interesting, by kind; they are changed before they are sent. */
  readonly corpus: ReadonlyMap<string, readonly Buffer[]>;
}

/** One round of one kind of input; resolves with the number of inputs sent, and leaves nothing. */
export type Attack = (context: AttackContext) => Promise<number>;
