/**
 * The road of a linearizable read through the core: asked here or forwarded by a follower, held
 * until this leader knows the commit index of its term, numbered, confirmed by a heartbeat round,
 * answered. Reads that arrive between two `takeReady` share one round.
 *
 * etcd answers a group of one voter at once. Here even it waits for the first commit of its term:
 * the commit mark on disk may trail, so right after a restart it is not the commit index yet.
 */

import type { MemberId } from '../types.ts';
import { type Core, sendNow } from './core.ts';
import type { PendingRead } from './reads.ts';

/** False when it was dropped: no leader is known, or too many reads wait already. */
export function requestRead(core: Core, from: MemberId, context: Uint8Array): boolean {
  if (core.state !== 'leader') {
    if (core.state !== 'follower' || core.lead === null) return false;
    sendNow(core, { type: 'read-index', from, to: core.lead, context });
    return true;
  }
  if (core.reads.full) return false;
  if (core.log.termAt(core.log.commit) === core.term) addRead(core, { from, context });
  else core.reads.addEarly({ from, context });
  return true;
}

function addRead(core: Core, read: PendingRead): void {
  core.reads.add({ ...read, index: core.log.commit });
  core.outbox.readsDue = true;
}

/** The first commit of a term has told this leader where the group stands. */
export function releaseEarlyReads(core: Core): void {
  if (core.reads.pending === 0 || core.log.termAt(core.log.commit) !== core.term) return;
  for (const read of core.reads.takeEarly()) addRead(core, read);
}

/** Answers every read that a quorum has confirmed by now. */
export function answerConfirmedReads(core: Core): void {
  const { voters, votersOutgoing } = core.config;
  for (const read of core.reads.takeConfirmed(core.id, voters, votersOutgoing)) {
    const { from, context, index } = read;
    if (from === core.id) core.outbox.reads.push({ context, index });
    else {
      sendNow(core, {
        type: 'read-index-resp',
        from: core.id,
        to: from,
        term: core.term,
        index,
        context,
      });
    }
  }
}
