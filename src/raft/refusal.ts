/**
 * What no member that keeps to the protocol would send to this one: messages that contradict
 * themselves, or what this member knows for certain. They come from a broken or hostile sender, or
 * tell that this member has lost what it once acknowledged. They change nothing and are not
 * answered, for an assertion would let whoever reaches the peer port end the member.
 *
 * It does not judge whether what is said is true: a member can lie in ways that nobody can see.
 */

import { limits } from '../limits.ts';
import type { Index, Term } from '../types.ts';
import type { Core } from './core.ts';
import { isConsistent } from './membership.ts';
import type { Entry, Message } from './messages.ts';

/** Why `message` must not be looked at; `null`: it may be. */
export function refusalOf(core: Core, message: Message): string | null {
  // etcd: in a request for a transfer, it names the one that is to lead.
  if (message.from === core.id && message.type !== 'transfer-leader')
    return 'it says that it comes from this member';
  if (message.from === 0n) return 'it comes from nobody';
  if ('term' in message && isBeyond(message.term)) return 'no term is that late';
  switch (message.type) {
    case 'app':
      return entriesProblem(message.index, message.logTerm, message) ?? unknownEntry(core, message);
    case 'prop':
      return unknownEntry(core, message);
    case 'heartbeat':
      return heartbeatProblem(core, message);
    case 'snap': {
      const { index, term, confState } = message.snapshot.metadata;
      if (isBeyond(index)) return 'no log is that long';
      if (term > message.term) return 'its state is of a later term than itself';
      return isConsistent(confState) ? null : 'its configuration is none';
    }
    default:
      return null;
  }
}

/** Counting on from there would reach numbers that are no longer exact. */
function isBeyond(value: number): boolean {
  return value > limits.raftNumberMax;
}

/** The entries follow each other, their terms do not fall, and none is later than the message's. */
function entriesProblem(
  index: Index,
  logTerm: Term,
  { entries, term }: { readonly entries: readonly Entry[]; readonly term: Term },
): string | null {
  if (isBeyond(index)) return 'no log is that long';
  let before = { index, term: logTerm };
  for (const entry of entries) {
    if (entry.index !== before.index + 1) return 'its entries do not follow each other';
    if (entry.term < before.term) return 'the terms of its entries fall';
    before = entry;
  }
  return before.term > term ? 'its entries are of a later term than itself' : null;
}

function unknownEntry(
  core: Core,
  { entries }: { readonly entries: readonly Entry[] },
): string | null {
  for (const entry of entries) {
    const problem = core.settings.entryProblem(entry);
    if (problem !== null) return problem;
  }
  return null;
}

/**
 * A leader names no more than this member has acknowledged in its term. An earlier leader's
 * heartbeat is answered without being looked at.
 */
function heartbeatProblem(
  core: Core,
  { term, commit }: Extract<Message, { readonly type: 'heartbeat' }>,
): string | null {
  if (term < core.term || commit <= core.log.last) return null;
  return 'it commits beyond the log: was that truncated, damaged or lost?';
}
