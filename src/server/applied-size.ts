/**
 * How large etcd's answer to an applied request is, as its log lines tell it: the message that the
 * state machine makes, before the service has filled in the header.
 */

import {
  encodeAlarmResponse,
  encodeAuthEnableResponse,
  encodeAuthenticateResponse,
  encodeAuthRoleGetResponse,
  encodeAuthRoleListResponse,
  encodeAuthStatusResponse,
  encodeAuthUserGetResponse,
  encodeAuthUserListResponse,
  encodeCompactionResponse,
  encodeDeleteRangeResponse,
  encodeLeaseGrantResponse,
  encodePutResponse,
  encodeTxnResponse,
  type ResponseHeader,
} from '../codec/gen/etcdserverpb.ts';
import { encode, type Writer } from '../codec/wire.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Outcomes, Result } from '../replica/outcome.ts';
import type { ClusterId, MemberId, Revision } from '../types.ts';

/** Of a header that tells nothing but a revision. */
export function revisionHeader(revision: Revision): ResponseHeader {
  return { clusterId: 0n as ClusterId, memberId: 0n as MemberId, revision, raftTerm: 0 };
}

type Encoders = {
  readonly [K in keyof Outcomes]?: (
    w: Writer,
    outcome: Outcomes[K],
    header: ResponseHeader,
  ) => void;
};

const encoders: Encoders = {
  put: (w, { revision, prevKv }) =>
    encodePutResponse(w, { header: revisionHeader(revision), prevKv }),
  deleteRange: (w, { revision, deleted, prevKvs }) =>
    encodeDeleteRangeResponse(w, { header: revisionHeader(revision), deleted, prevKvs }),
  txn: (w, { revision, succeeded, responses }) =>
    encodeTxnResponse(w, { header: revisionHeader(revision), succeeded, responses }),
  compaction: (w, { revision }) =>
    encodeCompactionResponse(w, { header: revisionHeader(revision) }),
  leaseGrant: (w, { id, ttlSeconds }, header) =>
    encodeLeaseGrantResponse(w, { header, id, ttl: ttlSeconds, error: '' }),
  alarm: (w, { alarms }) => encodeAlarmResponse(w, { header: null, alarms }),
  authStatus: (w, { enabled, revision }, header) =>
    encodeAuthStatusResponse(w, { header, enabled, authRevision: revision }),
  authenticate: (w, { token }, header) => encodeAuthenticateResponse(w, { header, token }),
  authUserGet: (w, { roles }, header) => encodeAuthUserGetResponse(w, { header, roles }),
  authUserList: (w, { names }, header) => encodeAuthUserListResponse(w, { header, users: names }),
  authRoleGet: (w, { permissions }, header) =>
    encodeAuthRoleGetResponse(w, { header, perm: permissions }),
  authRoleList: (w, { names }, header) => encodeAuthRoleListResponse(w, { header, roles: names }),
};

/** etcd: these have no answer. */
const UNANSWERED: ReadonlySet<string> = new Set([
  'clusterVersionSet',
  'clusterMemberAttrSet',
  'downgradeInfoSet',
  'downgradeVersionTest',
  'v2',
]);

/** `size:27`; empty where there is no answer. */
export function appliedSizeText(kind: string, result: Result, header: ResponseHeader): string {
  if (UNANSWERED.has(kind)) return '';
  if (result === errors.corrupt || result === errors.noSpace) return '';
  if (result instanceof EtcdError) {
    if (kind === 'leaseRevoke') return `size:${headerOnly(header)}`;
    return kind === 'leaseGrant' ? 'size:0' : '';
  }
  const encoder = encoders[kind as keyof Outcomes] as
    | ((w: Writer, outcome: unknown, header: ResponseHeader) => void)
    | undefined;
  if (encoder === undefined || result === null) return `size:${headerOnly(header)}`;
  const write = (w: Writer, outcome: unknown): void => encoder(w, outcome, header);
  return `size:${encode(write, result).length}`;
}

/** Most answers of auth and leases are nothing but a header. */
function headerOnly(header: ResponseHeader): number {
  return encode(encodeAuthEnableResponse, { header }).length;
}
