/**
 * What the log's records carry besides entries and hard state: the member's identity and snapshot
 * marks (`etcdserverpb.Metadata`, `walpb.Snapshot`), in the form of etcd 3.4 to 3.6.
 */

import type { SnapshotMetadata } from '../raft/messages.ts';
import type { ClusterId, MemberId } from '../types.ts';
import { EMPTY_CONF_STATE, readConfState, writeConfState } from './raftpb.ts';
import { encode, Reader } from './wire.ts';

export interface WalMetadata {
  readonly memberId: MemberId;
  readonly clusterId: ClusterId;
}

export function encodeWalMetadata(metadata: WalMetadata): Uint8Array {
  return encode((w, m) => {
    w.uint32(0x08);
    w.int64Exact(m.memberId);
    w.uint32(0x10);
    w.int64Exact(m.clusterId);
  }, metadata);
}

export function decodeWalMetadata(bytes: Uint8Array): WalMetadata {
  const r = new Reader(bytes);
  let memberId = 0n;
  let clusterId = 0n;
  while (!r.done) {
    const tag = r.tag();
    if (tag === 0x08) memberId = r.uint64Exact();
    else if (tag === 0x10) clusterId = r.uint64Exact();
    else r.discard(tag);
  }
  return { memberId: memberId as MemberId, clusterId: clusterId as ClusterId };
}

/** etcd: the mark of an empty log, at index 0, has no configuration. */
export function encodeWalSnapshot(metadata: SnapshotMetadata): Uint8Array {
  return encode((w, m) => {
    w.uint32(0x08);
    w.int64(m.index);
    w.uint32(0x10);
    w.int64(m.term);
    if (m.index === 0) return;
    w.uint32(0x1a);
    const start = w.open();
    writeConfState(w, m.confState);
    w.close(start);
  }, metadata);
}

/** etcd: before 3.5 the configuration was not written; then it reads as an empty one. */
export function decodeWalSnapshot(bytes: Uint8Array): SnapshotMetadata {
  const r = new Reader(bytes);
  let index = 0;
  let term = 0;
  let confState = EMPTY_CONF_STATE;
  while (!r.done) {
    const tag = r.tag();
    if (tag === 0x08) index = r.uint64();
    else if (tag === 0x10) term = r.uint64();
    else if (tag === 0x1a) {
      const outer = r.enter();
      confState = readConfState(r);
      r.leave(outer);
    } else r.discard(tag);
  }
  return { index, term, confState };
}
