// Generated from proto/ by scripts/gen-codec.mjs; do not edit.

import { type MemberId } from '../../types.ts';
import type { Reader, Writer } from '../wire.ts';

export interface RaftAttributes {
  readonly peerUrls: readonly string[];
  readonly isLearner: boolean;
}

export function decodeRaftAttributes(r: Reader): RaftAttributes {
  const peerUrls: string[] = [];
  let isLearner = false;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        peerUrls.push(r.string());
        break;
      case 16:
        isLearner = r.bool();
        break;
      default:
        r.discard(tag);
    }
  }
  return { peerUrls, isLearner };
}

export function encodeRaftAttributes(w: Writer, m: RaftAttributes): void {
  for (const item of m.peerUrls) {
    w.uint32(10);
    w.string(item);
  }
  if (m.isLearner) {
    w.uint32(16);
    w.bool(m.isLearner);
  }
}

export interface Attributes {
  readonly name: string;
  readonly clientUrls: readonly string[];
}

export function decodeAttributes(r: Reader): Attributes {
  let name = '';
  const clientUrls: string[] = [];
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.string();
        break;
      case 18:
        clientUrls.push(r.string());
        break;
      default:
        r.discard(tag);
    }
  }
  return { name, clientUrls };
}

export function encodeAttributes(w: Writer, m: Attributes): void {
  if (m.name !== '') {
    w.uint32(10);
    w.string(m.name);
  }
  for (const item of m.clientUrls) {
    w.uint32(18);
    w.string(item);
  }
}

export interface Member {
  readonly id: MemberId;
  readonly raftAttributes: RaftAttributes | null;
  readonly memberAttributes: Attributes | null;
}

export function decodeMember(r: Reader): Member {
  let id = 0n as MemberId;
  let raftAttributes: RaftAttributes | null = null;
  let memberAttributes: Attributes | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        id = r.uint64Exact() as MemberId;
        break;
      case 18: {
        const outer = r.enter();
        raftAttributes = decodeRaftAttributes(r);
        r.leave(outer);
        break;
      }
      case 26: {
        const outer = r.enter();
        memberAttributes = decodeAttributes(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { id, raftAttributes, memberAttributes };
}

export function encodeMember(w: Writer, m: Member): void {
  if (m.id !== 0n) {
    w.uint32(8);
    w.int64Exact(m.id);
  }
  if (m.raftAttributes !== null) {
    w.uint32(18);
    const start = w.open();
    encodeRaftAttributes(w, m.raftAttributes);
    w.close(start);
  }
  if (m.memberAttributes !== null) {
    w.uint32(26);
    const start = w.open();
    encodeAttributes(w, m.memberAttributes);
    w.close(start);
  }
}

export interface ClusterVersionSetRequest {
  readonly ver: string;
}

export function decodeClusterVersionSetRequest(r: Reader): ClusterVersionSetRequest {
  let ver = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        ver = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { ver };
}

export function encodeClusterVersionSetRequest(w: Writer, m: ClusterVersionSetRequest): void {
  if (m.ver !== '') {
    w.uint32(10);
    w.string(m.ver);
  }
}

export interface ClusterMemberAttrSetRequest {
  readonly memberId: MemberId;
  readonly memberAttributes: Attributes | null;
}

export function decodeClusterMemberAttrSetRequest(r: Reader): ClusterMemberAttrSetRequest {
  let memberId = 0n as MemberId;
  let memberAttributes: Attributes | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        memberId = r.uint64Exact() as MemberId;
        break;
      case 18: {
        const outer = r.enter();
        memberAttributes = decodeAttributes(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { memberId, memberAttributes };
}

export function encodeClusterMemberAttrSetRequest(w: Writer, m: ClusterMemberAttrSetRequest): void {
  if (m.memberId !== 0n) {
    w.uint32(8);
    w.int64Exact(m.memberId);
  }
  if (m.memberAttributes !== null) {
    w.uint32(18);
    const start = w.open();
    encodeAttributes(w, m.memberAttributes);
    w.close(start);
  }
}

export interface DowngradeInfoSetRequest {
  readonly enabled: boolean;
  readonly ver: string;
}

export function decodeDowngradeInfoSetRequest(r: Reader): DowngradeInfoSetRequest {
  let enabled = false;
  let ver = '';
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        enabled = r.bool();
        break;
      case 18:
        ver = r.string();
        break;
      default:
        r.discard(tag);
    }
  }
  return { enabled, ver };
}

export function encodeDowngradeInfoSetRequest(w: Writer, m: DowngradeInfoSetRequest): void {
  if (m.enabled) {
    w.uint32(8);
    w.bool(m.enabled);
  }
  if (m.ver !== '') {
    w.uint32(18);
    w.string(m.ver);
  }
}
