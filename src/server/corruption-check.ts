/**
 * Whether all members hold the same: etcd's three comparisons of hashes, with its decisions and
 * log lines. What is found is told by the CORRUPT alarm of the member that differs; one that finds
 * itself different at its start does not start.
 *
 * Invariant: nobody is accused but by hashes that cover the same history, so only those at the same
 * compact revision are compared. Who does not answer, or lags, is not accused of anything.
 *
 * It knows nothing of when it is called, or how members are asked.
 */

import { EtcdError, errors } from '../errors.ts';
import type { Log, LogFields } from '../log.ts';
import type { CompactionHash, HashResult } from '../mvcc/hash.ts';
import { reasonOf } from '../peer/exchange.ts';
import type { PeerAddress } from '../ports.ts';
import { BootstrapError } from '../replica/founding.ts';
import { hexId, type MemberId, type Revision } from '../types.ts';

/** What another member answers. */
export interface PeerHash {
  /** At which the other member stands. */
  readonly revision: Revision;
  readonly hash: number;
  readonly compactRevision: Revision;
}

export interface CorruptionCheckDeps {
  readonly memberId: MemberId;
  /** All members but this one. */
  readonly others: () => readonly PeerAddress[];
  /** Of this member's data at a revision, 0 for the current one. */
  readonly hash: (revision: Revision) => Promise<HashResult | EtcdError>;
  /** Oldest first. */
  readonly compactionHashes: () => readonly CompactionHash[];
  /** Asks at one peer URL; ends within the request timeout, with an error of any kind. */
  readonly ask: (url: string, revision: Revision) => Promise<PeerHash>;
  /** Rejects as a linearizable read does. */
  readonly readBarrier: () => Promise<void>;
  /** Activates the alarm of a member, or of all of them (0), without waiting for it. */
  readonly raise: (member: MemberId) => void;
  /** As etcd prints it. */
  readonly requestTimeout: string;
  readonly log: Log;
}

interface PeerAnswer {
  readonly peer: PeerAddress;
  readonly hash: PeerHash | null;
  /** Why there is no hash. */
  readonly error: unknown;
}

/** Stands for the whole cluster where it is not known who is wrong. */
const WHOLE_CLUSTER = 0n as MemberId;

export class CorruptionCheck {
  readonly #deps: CorruptionCheckDeps;
  readonly #self: string;
  /** The newest compaction that all members have been found to agree on. */
  #checkedRevision: Revision = 0;

  constructor(deps: CorruptionCheckDeps) {
    this.#deps = deps;
    this.#self = hexId(deps.memberId);
  }

  /** Before a member that comes back serves anybody. Rejects with `BootstrapError`. */
  async initial(): Promise<void> {
    const { log, requestTimeout } = this.#deps;
    const local = { 'local-member-id': this.#self };
    log.info('starting initial corruption check', { ...local, timeout: requestTimeout });
    const own = await this.#deps.hash(0);
    if (own instanceof EtcdError) {
      throw new BootstrapError(`${this.#self} failed to fetch hash (${own.message})`);
    }
    let differ = 0;
    for (const answer of await this.#askAll(own.hashRevision)) {
      if (this.#isDifferent(own, answer)) differ++;
    }
    if (differ > 0) throw new BootstrapError(`${this.#self} found data inconsistency with peers`);
    log.info('initial corruption checking passed; no corruption', local);
  }

  /** As the leader: everything, at this moment. Rejects as the barrier does. */
  async periodic(): Promise<void> {
    const { log, memberId, readBarrier } = this.#deps;
    const before = await this.#ownHash();
    const answers = await this.#askAll(before.hashRevision);
    await readBarrier();
    const after = await this.#ownHash();
    const accused: MemberId[] = [];
    if (
      after.hash !== before.hash &&
      after.hashRevision === before.hashRevision &&
      after.compactRevision === before.compactRevision
    ) {
      log.warn('found hash mismatch', {
        ...numbered(before, 1),
        ...numbered(after, 2),
      });
      accused.push(memberId);
    }
    const answered = answers.filter(({ hash }) => hash !== null);
    for (const { peer, hash } of answered) {
      if (hash !== null && this.#accuses(hash, peer.id, before, after)) accused.push(peer.id);
    }
    // etcd: one in a pass.
    const [first] = accused;
    if (first !== undefined) this.#deps.raise(first);
    log.info('finished peer corruption check', { 'number-of-peers-checked': answered.length });
  }

  /** As the leader: what compactions have hashed, back to the newest that all members know. */
  async compactions(): Promise<void> {
    const { log, compactionHashes, requestTimeout } = this.#deps;
    log.info('starting compact hash check', {
      'local-member-id': this.#self,
      timeout: requestTimeout,
    });
    const unchecked = compactionHashes()
      .filter(({ revision }) => revision > this.#checkedRevision)
      .sort((a, b) => b.revision - a.revision);
    let checked = 0;
    for (const hash of unchecked) {
      checked++;
      const answers = await this.#askAll(hash.revision);
      if (answers.length > 0 && this.#settles(hash, answers)) break;
    }
    log.info('finished compaction hash check', { 'number-of-hashes-checked': checked });
  }

  async #ownHash(): Promise<HashResult> {
    const hash = await this.#deps.hash(0);
    if (hash instanceof EtcdError) throw hash;
    return hash;
  }

  async #askAll(revision: Revision): Promise<readonly PeerAnswer[]> {
    const peers = this.#deps.others().filter(({ peerUrls }) => peerUrls.length > 0);
    return Promise.all(peers.map((peer) => this.#ask(peer, revision)));
  }

  async #ask(peer: PeerAddress, revision: Revision): Promise<PeerAnswer> {
    const { ask, log } = this.#deps;
    let error: unknown = null;
    for (const url of peer.peerUrls) {
      try {
        return { peer, hash: await ask(url, revision), error: null };
      } catch (reason) {
        error = reason;
        log.warn('failed hash kv request', {
          'local-member-id': this.#self,
          'requested-revision': revision,
          'remote-peer-endpoint': url,
          error: reasonOf(error),
        });
      }
    }
    return { peer, hash: null, error };
  }

  #isDifferent(own: HashResult, { peer, hash, error }: PeerAnswer): boolean {
    const { log } = this.#deps;
    const local = {
      'local-member-id': this.#self,
      'local-member-revision': own.hashRevision,
      'local-member-compact-revision': own.compactRevision,
      'local-member-hash': own.hash,
    };
    if (hash === null) {
      const text = unreached(error);
      if (text === null) return false;
      log.warn(text, {
        ...local,
        'remote-peer-id': hexId(peer.id),
        'remote-peer-endpoints': peer.peerUrls,
        error: reasonOf(error),
      });
      return false;
    }
    if (hash.hash === own.hash) return false;
    const isSame = hash.compactRevision === own.compactRevision;
    log.warn(`found different ${isSame ? 'hash' : 'compact revision'} values from remote peer`, {
      ...local,
      // etcd: read from the answer's header, in which it is not told.
      'remote-peer-id': '0',
      'remote-peer-endpoints': peer.peerUrls,
      'remote-peer-revision': hash.revision,
      'remote-peer-compact-revision': hash.compactRevision,
      'remote-peer-hash': hash.hash,
    });
    return isSame;
  }

  /** `before` and `after`: this member's hash before the others were asked, and after. */
  #accuses(peer: PeerHash, id: MemberId, before: HashResult, after: HashResult): boolean {
    const { log } = this.#deps;
    const follower = { 'follower-peer-id': hexId(id) };
    let isAccused = false;
    if (peer.revision > after.currentRevision) {
      isAccused = true;
      log.warn("revision from follower must be less than or equal to leader's", {
        'leader-revision': after.currentRevision,
        'follower-revision': peer.revision,
        ...follower,
      });
    }
    const compact = {
      'leader-compact-revision': after.compactRevision,
      'follower-compact-revision': peer.compactRevision,
    };
    if (peer.compactRevision > after.compactRevision) {
      isAccused = true;
      log.warn("compact revision from follower must be less than or equal to leader's", {
        ...compact,
        ...follower,
      });
    }
    if (peer.compactRevision === before.compactRevision && peer.hash !== before.hash) {
      isAccused = true;
      log.warn('same compact revision then hashes must match', {
        'leader-compact-revision': after.compactRevision,
        'leader-hash': before.hash,
        'follower-compact-revision': peer.compactRevision,
        'follower-hash': peer.hash,
        ...follower,
      });
    }
    return isAccused;
  }

  /** Whether nothing is left to do; false: some member could not be compared, try an older hash. */
  #settles(own: CompactionHash, answers: readonly PeerAnswer[]): boolean {
    const byHash = new Map<number, MemberId[]>([[own.hash, [this.#deps.memberId]]]);
    let compared = 0;
    for (const { peer, hash } of answers) {
      const reason = skipped(own, hash);
      if (hash === null || reason !== null) {
        this.#deps.log.warn("Skipped peer's hash", {
          'number-of-peers': answers.length,
          'leader-id': this.#self,
          'peer-id': hexId(peer.id),
          reason: reason ?? '',
        });
        continue;
      }
      compared++;
      const ids = byHash.get(hash.hash);
      if (ids === undefined) byHash.set(hash.hash, [peer.id]);
      else ids.push(peer.id);
    }
    if (byHash.size === 1) return this.#consistent(own, compared, answers.length);
    this.#inconsistent(own, byHash, answers.length + 1);
    return true;
  }

  #consistent({ revision, compactRevision }: CompactionHash, compared: number, peers: number) {
    const { log } = this.#deps;
    const fields = { 'number-of-peers-checked': compared };
    if (compared === peers) {
      log.info('successfully checked hash on whole cluster', {
        ...fields,
        revision,
        compactRevision,
      });
      this.#checkedRevision = Math.max(this.#checkedRevision, revision);
      return true;
    }
    log.warn('skipped revision in compaction hash check; was not able to check all peers', {
      ...fields,
      'number-of-peers': peers,
      revision,
      compactRevision,
    });
    return false;
  }

  #inconsistent(
    own: CompactionHash,
    byHash: ReadonlyMap<number, readonly MemberId[]>,
    members: number,
  ): void {
    const { log, raise } = this.#deps;
    const quorum = Math.floor(members / 2) + 1;
    const majority = [...byHash].find(([, ids]) => ids.length >= quorum) ?? null;
    const leader: LogFields = {
      'leader-id': this.#self,
      'leader-revision': own.revision,
      'leader-compact-revision': own.compactRevision,
      'leader-hash': own.hash,
    };
    if (majority === null) {
      log.error(
        'Detected compaction hash mismatch but cannot identify the corrupted members, ' +
          'so intentionally set the memberID as 0',
        leader,
      );
      raise(WHOLE_CLUSTER);
    }
    for (const [hash, ids] of byHash) {
      if (hash === majority?.[0]) continue;
      if (majority !== null) for (const id of ids) raise(id);
      log.error('Detected compaction hash mismatch', {
        ...leader,
        'peer-hash': hash,
        'peer-ids': ids.map(hexId).join(','),
        'quorum-exist': majority !== null,
      });
    }
  }
}

function numbered({ hashRevision, compactRevision, hash }: HashResult, which: 1 | 2): LogFields {
  return {
    [`revision-${which}`]: hashRevision,
    [`compact-revision-${which}`]: compactRevision,
    [`hash-${which}`]: hash,
  };
}

/** Why a member's answer cannot be compared; `null` when it can. */
function skipped(own: CompactionHash, hash: PeerHash | null): string | null {
  if (hash === null) return 'no response';
  if (hash.compactRevision === own.compactRevision) return null;
  return (
    `the peer's CompactRevision ${hash.compactRevision} ` +
    `doesn't match leader's CompactRevision ${own.compactRevision}`
  );
}

/** etcd's line about a member that was reached and has no hash to tell. */
function unreached(error: unknown): string | null {
  if (error === errors.futureRev) return 'cannot fetch hash from slow remote peer';
  if (error === errors.compacted) {
    return 'cannot fetch hash from remote peer; local member is behind';
  }
  return error === errors.clusterIdMismatch ? 'cluster ID mismatch' : null;
}
