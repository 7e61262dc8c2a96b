/** A copy of what one member knows, for debugging pages, metrics and tests. */

import type { Index, MemberId, Term } from '../types.ts';
import type { Core, StateName } from './core.ts';
import type { ConfState } from './messages.ts';
import { isPaused, type Progress } from './progress.ts';

export interface ProgressStatus {
  readonly id: MemberId;
  readonly state: Progress['flow']['kind'];
  readonly match: Index;
  readonly next: Index;
  readonly learner: boolean;
  readonly recentActive: boolean;
  readonly paused: boolean;
  readonly inflight: number;
  readonly pendingSnapshot: Index;
}

export interface RaftStatus {
  readonly id: MemberId;
  readonly term: Term;
  readonly vote: MemberId | null;
  readonly lead: MemberId | null;
  readonly state: StateName;
  readonly first: Index;
  readonly last: Index;
  readonly commit: Index;
  readonly applied: Index;
  readonly durable: Index;
  readonly transferee: MemberId | null;
  readonly confState: ConfState;
  readonly readsPending: number;
  /** Only a leader has it. Ascending by id. */
  readonly progress: readonly ProgressStatus[];
}

export function statusOf(core: Core): RaftStatus {
  const { id, term, vote, lead, state, log, transferee, config } = core;
  const progress: ProgressStatus[] = [];
  if (state === 'leader') {
    for (const member of core.members) {
      const known = core.progress.get(member);
      if (known !== undefined) progress.push(progressStatus(member, known));
    }
  }
  return {
    id,
    term,
    vote,
    lead,
    state,
    first: log.first,
    last: log.last,
    commit: log.commit,
    applied: log.applied,
    durable: log.durable,
    transferee,
    confState: config,
    readsPending: core.reads.pending,
    progress,
  };
}

function progressStatus(id: MemberId, progress: Progress): ProgressStatus {
  const { flow, match, next, learner, recentActive } = progress;
  return {
    id,
    state: flow.kind,
    match,
    next,
    learner,
    recentActive,
    paused: isPaused(progress),
    inflight: flow.kind === 'replicate' ? flow.inflights.count : 0,
    pendingSnapshot: flow.kind === 'snapshot' ? flow.pending : 0,
  };
}
