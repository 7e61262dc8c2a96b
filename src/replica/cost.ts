/** What a request may add to the database, in bytes, as etcd's quota counts it. */

import type {
  LeaseGrantRequest,
  PutRequest,
  RequestOp,
  TxnRequest,
} from '../codec/gen/etcdserverpb.ts';

/** etcd: bytes allowed for the metadata of one pair. */
const PAIR_OVERHEAD_BYTES = 256;
/** etcd: bytes allowed for one lease. */
const LEASE_BYTES = 64;

export function putCost(request: PutRequest): number {
  return PAIR_OVERHEAD_BYTES + request.key.length + request.value.length;
}

export function leaseGrantCost(_request: LeaseGrantRequest): number {
  return LEASE_BYTES;
}

/** The dearer of the two branches, nested transactions included. */
export function txnCost(request: TxnRequest): number {
  return Math.max(opsCost(request.success), opsCost(request.failure));
}

function opsCost(ops: readonly RequestOp[]): number {
  let bytes = 0;
  for (const op of ops) {
    if (op.request?.case === 'requestPut') bytes += putCost(op.request.value);
    else if (op.request?.case === 'requestTxn') bytes += txnCost(op.request.value);
  }
  return bytes;
}
