/**
 * Asking the leader, wherever it is, for what only the leader knows: renewals and remaining times
 * of leases, and whether a learner may be promoted. Here when this member leads, else over the
 * leader's peer port; again when the leader changes or cannot be reached, until the time of a
 * request is up.
 *
 * It knows neither what is asked nor how it travels.
 */

import { AssertionError } from '../assert.ts';
import { type EtcdError, errors } from '../errors.ts';
import { pause } from '../pause.ts';
import type { Clock } from '../ports.ts';
import type { Member } from '../replica/members.ts';
import type { Replica } from '../replica/replica.ts';
import type { MemberId } from '../types.ts';

export interface LeaderCallsDeps {
  readonly replica: Pick<Replica, 'memberId' | 'lead' | 'stopping'> & {
    readonly stateMachine: { readonly members: { get(id: MemberId): Member | null } };
  };
  readonly clock: Pick<Clock, 'every'>;
  readonly requestTimeoutMs: number;
}

export interface LeaderCall<T> {
  /** Asks this member, which leads. */
  readonly here: () => Promise<T>;
  /** The error of `here` that means that another member leads now; all others are answers. */
  readonly notHere: EtcdError | null;
  /** Asks at a peer URL of the leader. Must end when the signal is aborted. */
  readonly there: (url: string, signal: AbortSignal) => Promise<T>;
  /** The errors of `there` that are answers; after any other the leader is asked again. */
  readonly answers: readonly EtcdError[];
}

/**
 * Resolves or rejects with the leader's answer; rejects with `noLeader` when there was none when
 * the time was up, with `timeout` when it did not answer, with `stopped`.
 */
export type AskLeader = <T>(call: LeaderCall<T>) => Promise<T>;

/** etcd: the pause after a leader that could not be reached. */
const RETRY_MS = 50;

export function createLeaderCalls({
  replica,
  clock,
  requestTimeoutMs,
}: LeaderCallsDeps): AskLeader {
  const { members } = replica.stateMachine;
  const leader = (): Member | null => (replica.lead === null ? null : members.get(replica.lead));

  async function hereFirst<T>(call: LeaderCall<T>): Promise<{ readonly value: T } | null> {
    if (replica.lead !== replica.memberId) return null;
    try {
      return { value: await call.here() };
    } catch (error) {
      if (error !== call.notHere) throw error;
      return null;
    }
  }

  async function elsewhere<T>(
    call: LeaderCall<T>,
    signal: AbortSignal,
  ): Promise<{ readonly value: T } | null> {
    if (replica.lead === replica.memberId) return null;
    for (const url of leader()?.peerUrls ?? []) {
      try {
        return { value: await call.there(url, signal) };
      } catch (error) {
        if (error instanceof AssertionError || isOneOf(error, call.answers)) throw error;
        // It did not answer: the next URL, or another leader, may.
      }
      if (signal.aborted) return null;
    }
    return null;
  }

  async function untilAnswered<T>(call: LeaderCall<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      const answer = (await elsewhere(call, signal)) ?? (await hereFirst(call));
      if (answer !== null) return answer.value;
      await pause(clock, RETRY_MS, signal);
      if (replica.stopping.aborted) throw errors.stopped;
      if (signal.aborted) throw leader() === null ? errors.noLeader : errors.timeout;
    }
  }

  return async (call) => {
    if (replica.stopping.aborted) throw errors.stopped;
    // The usual case, without a clock.
    const answer = await hereFirst(call);
    if (answer !== null) return answer.value;
    const over = new AbortController();
    const end = (): void => over.abort();
    const stopClock = clock.every(requestTimeoutMs, end);
    replica.stopping.addEventListener('abort', end);
    try {
      return await untilAnswered(call, over.signal);
    } finally {
      stopClock();
      replica.stopping.removeEventListener('abort', end);
    }
  };
}

function isOneOf(error: unknown, answers: readonly EtcdError[]): boolean {
  return answers.some((answer) => answer === error);
}
