/** The Lock service (`v3lock`): a lock is held by the oldest key under its name. */

import { must } from '../assert.ts';
import {
  decodeLockRequest,
  decodeUnlockRequest,
  encodeLockResponse,
  encodeUnlockResponse,
  type LockRequest,
  type LockResponse,
  type UnlockRequest,
  type UnlockResponse,
} from '../codec/gen/v3lockpb.ts';
import { createRevisionOf } from '../codec/key-value.ts';
import { errors } from '../errors.ts';
import { EMPTY_BYTES, EMPTY_KEY } from '../types.ts';
import {
  type ConcurrencyDeps,
  createRevisionIs,
  expectEtcdError,
  firstCreated,
  isCreatedAt,
  ownerKey,
  pairsRead,
  prefixOf,
  putOp,
  rangeOp,
  rangeRequest,
  session,
  unknown,
  waitDeletes,
} from './concurrency.ts';
import { type Caller, type Method, unary } from './rpc.ts';

export function lockMethods(deps: ConcurrencyDeps): readonly Method[] {
  const service = 'v3lockpb.Lock';
  return [
    unary(
      service,
      'Lock',
      { decode: decodeLockRequest, encode: encodeLockResponse },
      (request, caller) => lock(deps, request, caller).catch(rethrowUnknown),
    ),
    unary(
      service,
      'Unlock',
      { decode: decodeUnlockRequest, encode: encodeUnlockResponse },
      (request, caller) => unlock(deps, request, caller).catch(rethrowUnknown),
    ),
  ];
}

function rethrowUnknown(error: unknown): never {
  throw unknown(error);
}

async function lock(
  deps: ConcurrencyDeps,
  request: LockRequest,
  caller: Caller,
): Promise<LockResponse> {
  const lease = await session(deps.lease, request.lease, caller);
  const key = ownerKey(request.name, lease);
  const prefix = prefixOf(request.name);
  const entered = await deps.kv.txn(
    {
      compare: [createRevisionIs(key, 0)],
      success: [putOp(key, EMPTY_BYTES, lease), rangeOp(firstCreated(prefix))],
      failure: [rangeOp(rangeRequest(key)), rangeOp(firstCreated(prefix))],
    },
    caller,
  );
  const header = must(entered.header, 'an answer has a header');
  const [own] = entered.succeeded ? [] : pairsRead(entered, 0);
  const ownRevision = own === undefined ? header.revision : createRevisionOf(own);
  const [holder] = pairsRead(entered, 1);
  if (holder === undefined || isCreatedAt(holder, ownRevision)) return { header, key };
  const held = await waitDeletes(deps, prefix, ownRevision - 1, caller)
    .then(() => deps.kv.range(rangeRequest(key), caller))
    .catch(async (error: unknown) => {
      // Who stops waiting leaves the queue. If that fails, the lease ends it.
      await unlock(deps, { key }, caller).catch(expectEtcdError);
      throw error;
    });
  if (held.kvs.length === 0) throw errors.sessionExpired;
  return { header: held.header, key };
}

async function unlock(
  deps: ConcurrencyDeps,
  { key }: UnlockRequest,
  caller: Caller,
): Promise<UnlockResponse> {
  const request = { key, rangeEnd: EMPTY_KEY, prevKv: false };
  const { header } = await deps.kv.deleteRange(request, caller);
  return { header };
}
