/**
 * Applies committed entries to the replicated state: the store, leases, alarms, users, membership
 * and the cluster version. One entry at a time, synchronously, without clock or randomness, so that
 * every member reaches the same state and the same verdict.
 *
 * Expected refusals are outcomes, not exceptions. An entry that cannot be understood ends the
 * member: skipping it would let its state drift away from the others'.
 */

import { assert } from '../assert.ts';
import type { AuthNote, AuthStore } from '../auth/auth-store.ts';
import { type Identity, NOBODY } from '../auth/identity.ts';
import { buckets, metaRows, rowKey } from '../buckets.ts';
import { AlarmType, decodeInternalRaftRequest } from '../codec/gen/etcdserverpb.ts';
import { decodeConfChange, decodeConfChangeV2 } from '../codec/raftpb.ts';
import { decode } from '../codec/wire.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Lessor } from '../lease/lessor.ts';
import type { KvStore } from '../mvcc/store.ts';
import type { WatchHub } from '../mvcc/watch-hub.ts';
import type { Rows, RowWrite } from '../ports.ts';
import type { ConfChange, ConfChangeV2, ConfState, Entry } from '../raft/messages.ts';
import type { Index, LeaseId, Term } from '../types.ts';
import { clusterVersionProblem } from '../version.ts';
import type { Alarms } from './alarms.ts';
import { applyAuth, checkCommand } from './auth-apply.ts';
import { leaseGrantCost, putCost, txnCost } from './cost.ts';
import { type DowngradeInfo, downgradeJson, downgradeRow, NO_DOWNGRADE } from './downgrade-info.ts';
import { jointChangeOf } from './joint-change.ts';
import type { Members } from './members.ts';
import type { AlarmOutcome, Command, Result } from './outcome.ts';
import { positionRows } from './position.ts';
import { applyDeleteRange, applyPut, applyTxn, deleteKeys, type MvccCounts } from './txn.ts';
import { commandOf, decodeV2Request, isV2Request } from './v2-request.ts';

/** What one entry did. */
export interface Applied {
  /** `null` for entries that nobody proposed through a request id. */
  readonly requestId: bigint | null;
  /** The request's name in metrics and log lines. */
  readonly kind: string;
  readonly result: Result;
  /** Set for membership entries that take effect; one that was refused changes nothing. */
  readonly confChange: ConfChange | ConfChangeV2 | null;
  /** What users and roles have to tell about it. */
  readonly notes?: readonly AuthNote[];
}

export interface StateMachineParts {
  readonly rows: Rows;
  readonly store: KvStore;
  readonly lessor: Lessor;
  readonly hub: WatchHub;
  readonly alarms: Alarms;
  readonly auth: AuthStore;
  readonly members: Members;
  readonly appliedIndex: Index;
  readonly appliedTerm: Term;
  readonly clusterVersion: string;
  readonly downgradeInfo: DowngradeInfo;
}

const clusterVersionRow = rowKey(buckets.cluster, 'clusterVersion');
/** etcd: a database says its version, which follows the cluster's, from 3.6 on. */
const BEFORE_3_6 = /^3\.[0-5]\./;

/** The entry with which a leader opens its term. */
const EMPTY_ENTRY: Applied = { requestId: null, kind: 'noop', result: null, confChange: null };

export class StateMachine {
  readonly rows: Rows;
  readonly store: KvStore;
  readonly lessor: Lessor;
  readonly hub: WatchHub;
  readonly alarms: Alarms;
  readonly auth: AuthStore;
  readonly members: Members;
  readonly counts: MvccCounts = { puts: 0, deletes: 0, txns: 0, ranges: 0, putBytes: 0 };
  #appliedIndex: Index;
  #appliedTerm: Term;
  #clusterVersion: string;
  #downgradeInfo: DowngradeInfo;
  #space: (cost: number) => boolean;

  /** `space` says whether this member has room for that many more bytes (a local matter). */
  constructor(parts: StateMachineParts, space: (cost: number) => boolean) {
    this.rows = parts.rows;
    this.store = parts.store;
    this.lessor = parts.lessor;
    this.hub = parts.hub;
    this.alarms = parts.alarms;
    this.auth = parts.auth;
    this.members = parts.members;
    this.#appliedIndex = parts.appliedIndex;
    this.#appliedTerm = parts.appliedTerm;
    this.#clusterVersion = parts.clusterVersion;
    this.#downgradeInfo = parts.downgradeInfo;
    this.#space = space;
  }

  get appliedIndex(): Index {
    return this.#appliedIndex;
  }

  get appliedTerm(): Term {
    return this.#appliedTerm;
  }

  /** Empty until the first leader has decided it. */
  get clusterVersion(): string {
    return this.#clusterVersion;
  }

  get downgradeInfo(): DowngradeInfo {
    return this.#downgradeInfo;
  }

  apply(entry: Entry): Applied {
    assert(entry.index === this.#appliedIndex + 1, 'entries are applied without gaps');
    this.#appliedIndex = entry.index;
    this.#appliedTerm = entry.term;
    if (entry.type === 'conf-change') return this.#applyMembership(entry);
    if (entry.type === 'conf-change-v2') return this.#applyJointMembership(entry);
    if (entry.data.length === 0) return EMPTY_ENTRY;
    if (isV2Request(entry.data)) return this.#applyV2(entry);
    const { header, request } = decode(decodeInternalRaftRequest, entry.data);
    assert(header !== null && request !== null, 'an entry holds a header and a request');
    const { username: user, authRevision } = header;
    const who = user === '' && authRevision === 0 ? NOBODY : { user, revision: authRevision };
    const result = this.#admitAndRun(request, who);
    const notes = this.auth.takeNotes();
    return { requestId: header.id, kind: request.case, result, confChange: null, notes };
  }

  /**
   * Takes over the state of another machine, which is not used any more, in the step in which the
   * other one's rows become this one's. Whoever holds a part of this machine goes on with it.
   */
  adopt(other: StateMachine): void {
    const { revision } = this.store;
    this.store.adopt(other.store);
    this.lessor.adopt(other.lessor);
    this.alarms.adopt(other.alarms);
    this.auth.adopt(other.auth);
    this.members.adopt(other.members);
    this.#appliedIndex = other.#appliedIndex;
    this.#appliedTerm = other.#appliedTerm;
    this.#clusterVersion = other.#clusterVersion;
    this.#downgradeInfo = other.#downgradeInfo;
    this.hub.storeReplaced(revision);
  }

  /** The rows that make the applied position durable together with what it produced. */
  positionRows(confState: ConfState): readonly RowWrite[] {
    return positionRows({ index: this.#appliedIndex, term: this.#appliedTerm, confState });
  }

  // etcd: corrupt, then no-space, then auth, then quota; each refuses only its own requests.
  #admitAndRun(command: Command, who: Identity): Result {
    if (changesData(command) && this.alarms.has(AlarmType.CORRUPT)) return errors.corrupt;
    const cost = costOf(command);
    if (cost > 0 && this.alarms.has(AlarmType.NOSPACE)) return errors.noSpace;
    const refused = checkCommand(command, who, this);
    if (refused !== null) return refused;
    const fits = cost === 0 || this.#space(cost);
    const result = this.#run(command);
    // etcd: a request that crosses the quota is applied all the same, so that members whose files
    // differ in size do not drift apart; its client is told that there is no space.
    return fits || result instanceof EtcdError ? result : errors.noSpace;
  }

  #run(command: Command): Result {
    switch (command.case) {
      case 'put':
        return applyPut(command.value, this);
      case 'deleteRange':
        return applyDeleteRange(command.value, this);
      case 'txn':
        return applyTxn(command.value, this, { readOnly: false });
      case 'compaction':
        return this.store.compact(command.value.revision) ?? { revision: this.store.revision };
      case 'leaseGrant': {
        const granted = this.lessor.grant(command.value.id, command.value.ttl);
        if (granted instanceof EtcdError) return granted;
        return { id: command.value.id, ttlSeconds: granted.ttlSeconds };
      }
      case 'leaseRevoke':
        return this.#revoke(command.value.id);
      case 'leaseCheckpoint':
        for (const { id, remainingTtl } of command.value.checkpoints) {
          this.lessor.checkpoint(id, remainingTtl);
        }
        return null;
      case 'alarm':
        return this.#alarm(command.value);
      case 'clusterVersionSet':
        this.#setClusterVersion(command.value.ver);
        return null;
      case 'clusterMemberAttrSet': {
        const { memberId, memberAttributes } = command.value;
        if (memberAttributes !== null) {
          this.members.publish(memberId, memberAttributes.name, memberAttributes.clientUrls);
        }
        return null;
      }
      case 'downgradeInfoSet': {
        const { enabled, ver } = command.value;
        this.#downgradeInfo = enabled ? { enabled, targetVersion: ver } : NO_DOWNGRADE;
        this.rows.put(downgradeRow, Buffer.from(downgradeJson(this.#downgradeInfo)));
        return null;
      }
      case 'range':
      case 'downgradeVersionTest':
        return null;
      default:
        return applyAuth(command, this.auth, this.#appliedIndex - 1);
    }
  }

  #setClusterVersion(version: string): void {
    const problem = clusterVersionProblem(version);
    if (problem !== null) throw new Error(problem);
    this.#clusterVersion = version;
    this.rows.put(clusterVersionRow, Buffer.from(version));
    if (!BEFORE_3_6.test(version)) {
      this.rows.put(metaRows.storageVersion, Buffer.from(version));
    } else if (this.rows.get(metaRows.storageVersion) !== null) {
      this.rows.delete(metaRows.storageVersion);
    }
  }

  #revoke(id: LeaseId): EtcdError | null {
    const keys = this.lessor.revoke(id);
    if (keys instanceof EtcdError) return keys;
    if (keys.length > 0) deleteKeys(keys, this);
    return null;
  }

  #alarm(request: Parameters<Alarms['apply']>[0]): AlarmOutcome {
    return { alarms: this.alarms.apply(request) };
  }

  /** Members up to 3.5 publish themselves and set the cluster version in the older form. */
  #applyV2(entry: Entry): Applied {
    const request = decodeV2Request(entry.data);
    const command = commandOf(request);
    const result = command === null ? null : this.#run(command);
    return { requestId: request.id, kind: command?.case ?? 'v2', result, confChange: null };
  }

  #applyMembership(entry: Entry): Applied {
    const change = decodeConfChange(entry.data);
    const refused = this.members.validate(change);
    if (refused === null) this.members.apply(change);
    return {
      requestId: change.id,
      kind: 'confChange',
      result: refused,
      confChange: refused === null ? change : null,
    };
  }

  /** All of the changes or none. */
  #applyJointMembership(entry: Entry): Applied {
    const confChange = decodeConfChangeV2(entry.data);
    const { requestId, changes } = jointChangeOf(confChange);
    const refused = this.members.validateAll(changes);
    if (refused === null) for (const change of changes) this.members.apply(change);
    return {
      requestId,
      kind: 'confChange',
      result: refused,
      confChange: refused === null ? confChange : null,
    };
  }
}

function changesData(command: Command): boolean {
  switch (command.case) {
    case 'put':
    case 'deleteRange':
    case 'txn':
    case 'compaction':
    case 'leaseGrant':
    case 'leaseRevoke':
      return true;
    default:
      return false;
  }
}

function costOf(command: Command): number {
  switch (command.case) {
    case 'put':
      return putCost(command.value);
    case 'txn':
      return txnCost(command.value);
    case 'leaseGrant':
      return leaseGrantCost(command.value);
    default:
      return 0;
  }
}
