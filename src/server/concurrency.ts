/**
 * What the lock and election services share: the recipe of etcd's client library, carried out in
 * the server. A candidate owns the key `<name>/<lease in hex>`; the lowest create revision under
 * `<name>/` holds the lock or leads. Clients that follow the recipe themselves interoperate.
 */

import {
  type Compare,
  CompareResult,
  CompareTarget,
  type RangeRequest,
  type RangeResponse,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnResponse,
} from '../codec/gen/etcdserverpb.ts';
import { createRevisionOf, type EncodedKeyValue, keyOf } from '../codec/key-value.ts';
import { Code, EtcdError, errors } from '../errors.ts';
import type { Event } from '../mvcc/event.ts';
import { readOptions } from '../mvcc/range.ts';
import type { Watcher, WatchHub } from '../mvcc/watch-hub.ts';
import { EMPTY_KEY, hexId, type Key, type LeaseId, NO_LEASE, type Revision } from '../types.ts';
import type { Kv } from './kv.ts';
import type { LeaseService } from './lease.ts';
import type { Caller } from './rpc.ts';

export interface ConcurrencyDeps {
  readonly kv: Kv;
  readonly lease: LeaseService;
  readonly hub: WatchHub;
  readonly onFatal: (error: unknown) => void;
}

/** etcd: seconds of the lease granted to a caller that brings none. */
const SESSION_TTL_SECONDS = 60;

/**
 * The caller's lease, or a new one. etcd: it is refreshed at most once, in nobody's name, and
 * whether that worked is told by what follows.
 */
export async function session(lease: LeaseService, id: LeaseId, caller: Caller): Promise<LeaseId> {
  if (id === NO_LEASE) {
    const granted = await lease.grant({ id: NO_LEASE, ttl: SESSION_TTL_SECONDS }, caller);
    return granted.id;
  }
  await lease.renew({ id }).catch(expectEtcdError);
  return id;
}

/** For what may fail without anybody being told, as long as it is no bug. */
export function expectEtcdError(error: unknown): void {
  if (!(error instanceof EtcdError)) throw error;
}

export function prefixOf(name: Key): Key {
  return `${name}/` as Key;
}

export function ownerKey(name: Key, lease: LeaseId): Key {
  return `${name}/${hexId(lease)}` as Key;
}

/** The end of the range of keys that begin with `prefix`. */
export function prefixEnd(prefix: Key): Key {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const code = prefix.charCodeAt(i);
    if (code < 0xff) return (prefix.slice(0, i) + String.fromCharCode(code + 1)) as Key;
  }
  return '\x00' as Key;
}

export function rangeRequest(key: Key, options: Partial<RangeRequest> = {}): RangeRequest {
  return { ...readOptions(key), serializable: false, ...options };
}

/** The pair with the lowest create revision under `prefix`. */
export function firstCreated(prefix: Key): RangeRequest {
  return rangeRequest(prefix, {
    rangeEnd: prefixEnd(prefix),
    sortOrder: SortOrder.ASCEND,
    sortTarget: SortTarget.CREATE,
    limit: 1,
  });
}

export function createRevisionIs(key: Key, revision: Revision): Compare {
  return {
    result: CompareResult.EQUAL,
    target: CompareTarget.CREATE,
    key,
    rangeEnd: EMPTY_KEY,
    targetUnion: { case: 'createRevision', value: revision },
  };
}

export const rangeOp = (value: RangeRequest): RequestOp => ({
  request: { case: 'requestRange', value },
});

export const putOp = (key: Key, value: Uint8Array, lease: LeaseId): RequestOp => ({
  request: {
    case: 'requestPut',
    value: { key, value, lease, prevKv: false, ignoreValue: false, ignoreLease: false },
  },
});

export const deleteOp = (key: Key): RequestOp => ({
  request: { case: 'requestDeleteRange', value: { key, rangeEnd: EMPTY_KEY, prevKv: false } },
});

/** The pairs that the `index`-th operation of a transaction read. */
export function pairsRead(response: TxnResponse, index: number): readonly EncodedKeyValue[] {
  const op = response.responses[index]?.response;
  return op?.case === 'responseRange' ? op.value.kvs : [];
}

/** Waits until no key under `prefix` has a create revision of `maxCreateRevision` or below. */
export async function waitDeletes(
  { kv, hub }: ConcurrencyDeps,
  prefix: Key,
  maxCreateRevision: Revision,
  caller: Caller,
): Promise<void> {
  for (;;) {
    const found: RangeResponse = await kv.range(
      rangeRequest(prefix, {
        rangeEnd: prefixEnd(prefix),
        sortOrder: SortOrder.DESCEND,
        sortTarget: SortTarget.CREATE,
        limit: 1,
        maxCreateRevision,
      }),
      caller,
    );
    const [last] = found.kvs;
    if (last === undefined) return;
    await nextChange(hub, caller, {
      key: keyOf(last),
      rangeEnd: EMPTY_KEY,
      from: found.header?.revision ?? 0,
      wanted: ({ type }) => type === 'delete',
    });
  }
}

export interface ChangeWanted {
  readonly key: Key;
  readonly rangeEnd: Key;
  readonly from: Revision;
  readonly wanted: (event: Event) => boolean;
}

/** The first wanted change at or after a revision; rejects when the caller goes away. */
export function nextChange(hub: WatchHub, caller: Caller, where: ChangeWanted): Promise<Event> {
  if (caller.cancelled) return Promise.reject(errors.contextCanceled);
  return new Promise((resolve, reject) => {
    const watcher: Watcher = hub.watch(where.key, where.rangeEnd, where.from, {
      deliver(_watcher, events) {
        const event = events.find(where.wanted);
        if (event === undefined) return true;
        hub.cancel(watcher);
        stopListening();
        resolve(event);
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

export function isCreatedAt(pair: EncodedKeyValue | undefined, revision: Revision): boolean {
  return pair !== undefined && createRevisionOf(pair) === revision;
}

/** etcd: these services run over an inner client; its errors arrive as Unknown with their text. */
export function unknown(error: unknown): unknown {
  if (!(error instanceof EtcdError) || error.code === Code.CANCELED) return error;
  return new EtcdError(Code.UNKNOWN, error.message);
}
