/**
 * Handing leadership over (thesis 3.10): the leader stops taking proposals, brings the chosen voter
 * up to date and tells it to campaign at once, past everybody's lease. Given up after an election
 * timeout, or when the chosen one leaves the voters.
 */

import type { MemberId } from '../types.ts';
import { type Core, sendNow } from './core.ts';
import { isVoter } from './membership.ts';
import { sendAppend, sendTimeoutNow } from './replication.ts';

export function transferLeadership(core: Core, to: MemberId): void {
  if (core.state === 'leader') {
    startTransfer(core, to);
  } else if (core.state === 'follower' && core.lead !== null) {
    // etcd: the one that is to lead stands in `from`, whoever sends this.
    sendNow(core, { type: 'transfer-leader', from: to, to: core.lead, term: core.term });
  }
}

function startTransfer(core: Core, to: MemberId): void {
  const progress = core.progress.get(to);
  if (progress === undefined || progress.learner || core.transferee === to) return;
  // A request to hand over to itself takes back the one before.
  core.transferee = null;
  if (to === core.id) return;
  core.electionElapsed = 0;
  core.transferee = to;
  if (progress.match === core.log.last) sendTimeoutNow(core, to);
  else sendAppend(core, to, progress);
}

export function abortTransferToNonVoter(core: Core): void {
  if (core.transferee !== null && !isVoter(core.config, core.transferee)) core.transferee = null;
}
