/** The Election service (`v3election`): the oldest key under a name leads. */

import { must } from '../assert.ts';
import {
  type CampaignRequest,
  type CampaignResponse,
  decodeCampaignRequest,
  decodeLeaderRequest,
  decodeProclaimRequest,
  decodeResignRequest,
  encodeCampaignResponse,
  encodeLeaderResponse,
  encodeProclaimResponse,
  encodeResignResponse,
  type LeaderKey,
  type LeaderRequest,
  type LeaderResponse,
  type ProclaimRequest,
  type ProclaimResponse,
  type ResignRequest,
  type ResignResponse,
} from '../codec/gen/v3electionpb.ts';
import { createRevisionOf, type EncodedKeyValue, keyOf, valueBytesOf } from '../codec/key-value.ts';
import { errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Watcher } from '../mvcc/watch-hub.ts';
import { EMPTY_KEY, type Revision } from '../types.ts';
import {
  type ConcurrencyDeps,
  createRevisionIs,
  deleteOp,
  expectEtcdError,
  firstCreated,
  nextChange,
  ownerKey,
  pairsRead,
  prefixEnd,
  prefixOf,
  putOp,
  rangeOp,
  rangeRequest,
  session,
  unknown,
  waitDeletes,
} from './concurrency.ts';
import { type Caller, endWith, type Method, type Output, serverStream, unary } from './rpc.ts';

export function electionMethods(deps: ConcurrencyDeps): readonly Method[] {
  const service = 'v3electionpb.Election';
  return [
    unary(
      service,
      'Campaign',
      { decode: decodeCampaignRequest, encode: encodeCampaignResponse },
      (request, caller) => campaign(deps, request, caller).catch(rethrowUnknown),
    ),
    unary(
      service,
      'Proclaim',
      { decode: decodeProclaimRequest, encode: encodeProclaimResponse },
      (request, caller) => proclaim(deps, request, caller).catch(rethrowUnknown),
    ),
    unary(
      service,
      'Leader',
      { decode: decodeLeaderRequest, encode: encodeLeaderResponse },
      (request, caller) => leader(deps, request, caller).catch(rethrowUnknown),
    ),
    serverStream(
      service,
      'Observe',
      { decode: decodeLeaderRequest, encode: encodeLeaderResponse },
      (request, caller, output) => {
        const end = endWith(output, deps.onFatal);
        observe(deps, request, caller, output).catch((error: unknown) => end(unknown(error)));
      },
    ),
    unary(
      service,
      'Resign',
      { decode: decodeResignRequest, encode: encodeResignResponse },
      (request, caller) => resign(deps, request, caller).catch(rethrowUnknown),
    ),
  ];
}

function rethrowUnknown(error: unknown): never {
  throw unknown(error);
}

async function campaign(
  deps: ConcurrencyDeps,
  request: CampaignRequest,
  caller: Caller,
): Promise<CampaignResponse> {
  const lease = await session(deps.lease, request.lease, caller);
  const key = ownerKey(request.name, lease);
  const entered = await deps.kv.txn(
    {
      compare: [createRevisionIs(key, 0)],
      success: [putOp(key, request.value, lease)],
      failure: [rangeOp(rangeRequest(key))],
    },
    caller,
  );
  const header = must(entered.header, 'an answer has a header');
  const [own] = entered.succeeded ? [] : pairsRead(entered, 0);
  const rev = own === undefined ? header.revision : createRevisionOf(own);
  const candidate: LeaderKey = { name: request.name, key, rev, lease };
  try {
    if (own !== undefined && Buffer.compare(valueBytesOf(own), request.value) !== 0) {
      await proclaim(deps, { leader: candidate, value: request.value }, caller);
    }
    await waitDeletes(deps, prefixOf(request.name), rev - 1, caller);
  } catch (error) {
    // Who stops campaigning leaves the queue, unless the key is somebody else's by now. If that
    // fails, the lease ends it.
    await resign(deps, { leader: candidate }, caller).catch(expectEtcdError);
    throw error;
  }
  return { header, leader: candidate };
}

async function proclaim(
  deps: ConcurrencyDeps,
  { leader, value }: ProclaimRequest,
  caller: Caller,
): Promise<ProclaimResponse> {
  if (leader === null) throw errors.leaderFieldMissing;
  const done = await deps.kv.txn(
    {
      compare: [createRevisionIs(leader.key, leader.rev)],
      success: [putOp(leader.key, value, leader.lease)],
      failure: [],
    },
    caller,
  );
  if (!done.succeeded) throw errors.electionNotLeader;
  return { header: done.header };
}

async function resign(
  deps: ConcurrencyDeps,
  { leader }: ResignRequest,
  caller: Caller,
): Promise<ResignResponse> {
  if (leader === null) throw errors.leaderFieldMissing;
  // etcd: leadership that was lost already is no error.
  const done = await deps.kv.txn(
    {
      compare: [createRevisionIs(leader.key, leader.rev)],
      success: [deleteOp(leader.key)],
      failure: [],
    },
    caller,
  );
  return { header: done.header };
}

async function leader(
  deps: ConcurrencyDeps,
  { name }: LeaderRequest,
  caller: Caller,
): Promise<LeaderResponse> {
  const found = await deps.kv.range(firstCreated(prefixOf(name)), caller);
  const [kv] = found.kvs;
  if (kv === undefined) throw errors.electionNoLeader;
  return { header: found.header, kv };
}

/** The leader's pair and each of its changes, then the next leader's, until the caller leaves. */
async function observe(
  deps: ConcurrencyDeps,
  { name }: LeaderRequest,
  caller: Caller,
  output: Output<LeaderResponse>,
): Promise<void> {
  const prefix = prefixOf(name);
  while (!caller.cancelled) {
    const found = await deps.kv.range(firstCreated(prefix), caller);
    const header = must(found.header, 'an answer has a header');
    let [kv] = found.kvs;
    let from = header.revision + 1;
    if (kv === undefined) {
      const first = await nextChange(deps.hub, caller, {
        key: prefix,
        rangeEnd: prefixEnd(prefix),
        from,
        wanted: ({ type }) => type === 'put',
      });
      kv = first.kv;
      from = first.revision + 1;
      output.send({ header: { ...header, revision: first.revision }, kv });
    } else {
      output.send({ header, kv });
    }
    await followLeader(deps, caller, output, { header, kv, from });
  }
}

/** Passes on every change of the leader's pair; resolves when it is deleted. */
function followLeader(
  { hub }: ConcurrencyDeps,
  caller: Caller,
  output: Output<LeaderResponse>,
  start: { header: NonNullable<LeaderResponse['header']>; kv: EncodedKeyValue; from: Revision },
): Promise<void> {
  if (caller.cancelled) return Promise.reject(errors.contextCanceled);
  return new Promise((resolve, reject) => {
    const watcher: Watcher = hub.watch(keyOf(start.kv), EMPTY_KEY, start.from, {
      deliver(_watcher, events) {
        if (output.bufferedBytes > limits.watchBytesBufferedMax) {
          output.onDrain(() => hub.resume(watcher));
          return false;
        }
        for (const { type, kv, revision } of events) {
          if (type === 'delete') {
            hub.cancel(watcher);
            stopListening();
            resolve();
            break;
          }
          output.send({ header: { ...start.header, revision }, kv });
        }
        return true;
      },
      compacted() {
        stopListening();
        reject(errors.compacted);
      },
    });
    const stopListening = caller.onCancel(() => {
      hub.cancel(watcher);
      reject(errors.contextCanceled);
    });
  });
}
