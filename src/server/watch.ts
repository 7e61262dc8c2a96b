/**
 * The Watch service: many watches on one stream, each a watcher of the hub under an id.
 *
 * What is particular to a client lives here: ids, filters, previous values, fragments, progress and
 * the form of the answers (etcd's `v3rpc/watch.go` and `mvcc/watcher.go`).
 */

import { type Identity, NOBODY } from '../auth/identity.ts';
import {
  decodeWatchRequest,
  encodeWatchResponse,
  FilterType,
  type ResponseHeader,
  type WatchCancelRequest,
  type WatchCreateRequest,
  type WatchRequest,
  type WatchResponse,
} from '../codec/gen/etcdserverpb.ts';
import { EventType } from '../codec/gen/mvccpb.ts';
import { encode, Writer } from '../codec/wire.ts';
import { Code, EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Event } from '../mvcc/event.ts';
import { FROM_KEY } from '../mvcc/key-range.ts';
import type { KvStore } from '../mvcc/store.ts';
import type { Watcher, WatchHub, WatchSink } from '../mvcc/watch-hub.ts';
import type { Random } from '../ports.ts';
import type { Key, Revision } from '../types.ts';
import type { Access } from './access.ts';
import { bidi, type Caller, type Input, type Method, type Output } from './rpc.ts';

/** Hears how long it took to encode and hand over what a stream sends. */
export interface WatchObserver {
  controlSent(seconds: number): void;
  eventsSent(seconds: number, events: number): void;
  progressSent(seconds: number): void;
}

export interface WatchDeps {
  readonly access: Access;
  readonly store: KvStore;
  readonly hub: WatchHub;
  readonly random: Random;
  readonly requestBytesMax: number;
  readonly progressIntervalMs: number;
  readonly observer: WatchObserver;
  readonly monotonic: () => number;
  readonly header: (revision: Revision) => ResponseHeader;
  readonly onFatal: (error: unknown) => void;
}

export interface WatchService {
  readonly methods: readonly Method[];
  readonly streamCount: number;
  /** Called often with the time in milliseconds; sends the progress that is due. */
  tick(nowMs: number): void;
}

/** etcd: the id in answers that concern no watch, or all of them. */
const NO_WATCH_ID = -1;
/** Below every auth revision: authentication is off. */
const NO_USERS = 0;

interface Watch {
  readonly id: number;
  readonly watcher: Watcher;
  /** As asked for: 0 is "from now on". */
  readonly startRevision: Revision;
  readonly wantsPut: boolean;
  readonly wantsDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
  /** Nothing was sent since the last tick of the progress timer. */
  quiet: boolean;
  readonly range: { readonly key: Key; readonly rangeEnd: Key };
  /** Whose watch it is; empty when nobody was asked. */
  readonly user: string;
  /** At which state of users and roles it was last found permitted. */
  judgedAt: number;
}

export function createWatch(deps: WatchDeps): WatchService {
  const streams = new Set<WatchStream>();
  return {
    methods: [
      bidi(
        'etcdserverpb.Watch',
        'Watch',
        { decode: decodeWatchRequest, encode: encodeWatchResponse },
        (caller, output) => {
          const stream = new WatchStream(deps, caller, output, () => streams.delete(stream));
          streams.add(stream);
          return stream;
        },
      ),
    ],
    get streamCount() {
      return streams.size;
    },
    tick(nowMs) {
      for (const stream of streams) stream.tick(nowMs);
    },
  };
}

class WatchStream implements Input<WatchRequest>, WatchSink {
  readonly #deps: WatchDeps;
  readonly #caller: Caller;
  readonly #output: Output<WatchResponse>;
  readonly #onClose: () => void;
  readonly #watches = new Map<number, Watch>();
  readonly #byWatcher = new Map<Watcher, Watch>();
  readonly #blocked = new Set<Watcher>();
  /** Watches whose permission was taken away, and that are still to be ended. */
  #expelled: Watch[] = [];
  #judgedAt = NO_USERS;
  readonly #progressPeriodMs: number;
  #nextId = 0;
  #nextProgressMs: number | null = null;
  #waitsForDrain = false;
  /** Requests behind one whose token is not known here yet; `null`: none has to wait. */
  #held: WatchRequest[] | null = null;
  #closed = false;

  constructor(deps: WatchDeps, caller: Caller, output: Output<WatchResponse>, onClose: () => void) {
    this.#deps = deps;
    this.#caller = caller;
    this.#output = output;
    this.#onClose = onClose;
    // etcd: up to a tenth is added, so that streams do not all report at once.
    const jitterMs = Math.max(1, Math.floor(deps.progressIntervalMs / 10));
    this.#progressPeriodMs = deps.progressIntervalMs + deps.random.below(jitterMs);
  }

  message(request: WatchRequest): void {
    const started = this.#deps.monotonic();
    this.#serve(request);
    this.#deps.observer.controlSent((this.#deps.monotonic() - started) / 1000);
  }

  #serve(request: WatchRequest): void {
    if (this.#held === null) return this.#handle(request);
    if (this.#held.length < limits.watchRequestsHeldMax) this.#held.push(request);
    else this.#output.end(errors.tooManyRequests);
  }

  #handle({ requestUnion }: WatchRequest): void {
    switch (requestUnion?.case) {
      case 'createRequest':
        return this.#create(requestUnion.value);
      case 'cancelRequest':
        return this.#cancel(requestUnion.value);
      case 'progressRequest':
        return this.#progress();
      default:
        return;
    }
  }

  /** etcd: the end of the requests does not end the watches. */
  halfClose(): void {}

  close(): void {
    this.#closed = true;
    for (const { watcher } of this.#watches.values()) this.#deps.hub.cancel(watcher);
    this.#watches.clear();
    this.#byWatcher.clear();
    this.#blocked.clear();
    this.#onClose();
  }

  deliver(watcher: Watcher, events: readonly Event[], revision: Revision): boolean {
    const watch = this.#byWatcher.get(watcher);
    if (watch === undefined || !this.#mayGoOn(watch)) return true;
    if (this.#isFull) {
      this.#blocked.add(watcher);
      this.#resumeOnDrain();
      return false;
    }
    const started = this.#deps.monotonic();
    const encoded: Uint8Array[] = [];
    for (const event of events) {
      const wanted = event.type === 'put' ? watch.wantsPut : watch.wantsDelete;
      if (wanted) encoded.push(this.#encodeEvent(event, watch.prevKv));
    }
    if (encoded.length === 0) return true;
    watch.quiet = false;
    this.#sendEvents(watch, encoded, revision);
    const seconds = (this.#deps.monotonic() - started) / 1000;
    this.#deps.observer.eventsSent(seconds, encoded.length);
    return true;
  }

  compacted(watcher: Watcher, compactRevision: Revision): void {
    const watch = this.#byWatcher.get(watcher);
    if (watch === undefined) return;
    this.#byWatcher.delete(watcher);
    // etcd: the id stays taken until the client cancels it, and the header's revision is 0.
    this.#send({
      header: this.#deps.header(0),
      watchId: watch.id,
      canceled: true,
      compactRevision,
    });
  }

  tick(nowMs: number): void {
    if (this.#judgedAt !== this.#usersNow) {
      this.#judgedAt = this.#usersNow;
      for (const watch of this.#byWatcher.values()) this.#mayGoOn(watch);
    }
    if (this.#expelled.length > 0) this.#endExpelled();
    this.#nextProgressMs ??= nowMs + this.#progressPeriodMs;
    if (nowMs < this.#nextProgressMs) return;
    this.#nextProgressMs = nowMs + this.#progressPeriodMs;
    const started = this.#deps.monotonic();
    for (const watch of this.#watches.values()) {
      if (!watch.progressNotify) continue;
      if (watch.quiet && this.#isSynced(watch) && !this.#isFull) {
        this.#send({ header: this.#header(), watchId: watch.id });
      }
      watch.quiet = true;
    }
    this.#deps.observer.progressSent((this.#deps.monotonic() - started) / 1000);
  }

  #create(request: WatchCreateRequest): void {
    // etcd: an empty key is the lowest one.
    const key = request.key === '' ? FROM_KEY : request.key;
    if (request.startRevision < 0) return this.#refuse(errors.compacted.message);
    if (!this.#deps.access.enabled) return this.#createPermitted(NOBODY, key, request);
    try {
      const who = this.#deps.access.identify(this.#caller);
      if (who instanceof Promise) this.#hold(who, key, request).catch(this.#deps.onFatal);
      else this.#createAs(who, key, request);
    } catch (error) {
      this.#refuseFor(error);
    }
  }

  /** Answers in order: what comes meanwhile waits. */
  async #hold(identified: Promise<Identity>, key: Key, request: WatchCreateRequest): Promise<void> {
    const held: WatchRequest[] = [];
    this.#held = held;
    const who = await identified.catch((error: unknown) => {
      if (error instanceof EtcdError) return error;
      throw error;
    });
    this.#held = null;
    if (this.#closed) return;
    if (who instanceof EtcdError) this.#refuseFor(who);
    else this.#createAs(who, key, request);
    for (const next of held) if (!this.#closed) this.#serve(next);
  }

  #createAs(who: Identity, key: Key, request: WatchCreateRequest): void {
    const refused = this.#deps.access.auth.check(who, 'read', key, request.rangeEnd);
    if (refused === null) this.#createPermitted(who, key, request);
    else this.#refuseFor(refused);
  }

  #refuseFor(error: unknown): void {
    if (!(error instanceof EtcdError)) throw error;
    this.#refuse(statusText(TOLD.includes(error) ? error : errors.permissionDenied));
  }

  #createPermitted(who: Identity, key: Key, request: WatchCreateRequest): void {
    const { rangeEnd } = request;
    if (rangeEnd !== '' && rangeEnd !== FROM_KEY && key >= rangeEnd) {
      return this.#refuse('mvcc: watcher range is empty');
    }
    const id = this.#takeId(request.watchId);
    if (id === null) return this.#refuse('mvcc: duplicate watch ID provided on the WatchStream');
    this.#send({ header: this.#header(), watchId: id, created: true });
    const watch: Watch = {
      id,
      watcher: this.#deps.hub.watch(key, rangeEnd, request.startRevision, this),
      startRevision: request.startRevision,
      wantsPut: !request.filters.includes(FilterType.NOPUT),
      wantsDelete: !request.filters.includes(FilterType.NODELETE),
      prevKv: request.prevKv,
      fragment: request.fragment,
      progressNotify: request.progressNotify,
      quiet: true,
      range: { key, rangeEnd },
      user: who.user,
      judgedAt: this.#usersNow,
    };
    this.#watches.set(id, watch);
    this.#byWatcher.set(watch.watcher, watch);
  }

  /** Changes with every change of users, roles and permissions that count. */
  get #usersNow(): number {
    const { auth } = this.#deps.access;
    return auth.enabled ? auth.revision : NO_USERS;
  }

  /**
   * Beyond etcd, where permission is asked once: a watch sees nothing more of what its user may no
   * longer read. It is ended at the next tick, since the hub is busy with it now.
   */
  #mayGoOn(watch: Watch): boolean {
    const now = this.#usersNow;
    if (watch.judgedAt === now) return true;
    watch.judgedAt = now;
    const { auth } = this.#deps.access;
    const who = { user: watch.user, revision: auth.revision };
    const refused = auth.check(who, 'read', watch.range.key, watch.range.rangeEnd);
    if (refused === null) return true;
    this.#byWatcher.delete(watch.watcher);
    this.#expelled.push(watch);
    return false;
  }

  #endExpelled(): void {
    const expelled = this.#expelled;
    this.#expelled = [];
    for (const { id, watcher } of expelled) {
      // The client may have cancelled it meanwhile.
      if (this.#watches.get(id)?.watcher !== watcher) continue;
      this.#forget(id, watcher);
      const cancelReason = statusText(errors.permissionDenied);
      this.#send({ header: this.#header(), watchId: id, canceled: true, cancelReason });
    }
  }

  #forget(id: number, watcher: Watcher): void {
    this.#deps.hub.cancel(watcher);
    this.#watches.delete(id);
    this.#byWatcher.delete(watcher);
    this.#blocked.delete(watcher);
  }

  /** `null`: taken, or no room. 0 asks for the lowest free id. */
  #takeId(wanted: number): number | null {
    if (this.#watches.size >= limits.watchesPerStreamMax) return null;
    if (wanted !== 0) return this.#watches.has(wanted) ? null : wanted;
    while (this.#watches.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  #refuse(reason: string): void {
    this.#send({
      header: this.#header(),
      watchId: NO_WATCH_ID,
      created: true,
      canceled: true,
      cancelReason: reason,
    });
  }

  /** etcd: cancelling an unknown id is not answered. */
  #cancel({ watchId }: WatchCancelRequest): void {
    const watch = this.#watches.get(watchId);
    if (watch === undefined) return;
    this.#forget(watchId, watch.watcher);
    this.#send({ header: this.#header(), watchId, canceled: true });
  }

  /** etcd: answered only when every watch of the stream has seen everything up to now. */
  #progress(): void {
    if (this.#watches.size === 0 || this.#isFull) return;
    for (const watch of this.#watches.values()) if (!this.#isSynced(watch)) return;
    this.#send({ header: this.#header(), watchId: NO_WATCH_ID });
  }

  get #isFull(): boolean {
    return this.#output.bufferedBytes > limits.watchBytesBufferedMax;
  }

  /** etcd: one that begins in the future has not seen everything up to now, but nothing at all. */
  #isSynced({ watcher, startRevision }: Watch): boolean {
    return watcher.state === 'live' && startRevision <= this.#deps.store.revision;
  }

  #sendEvents(watch: Watch, events: readonly Uint8Array[], revision: Revision): void {
    const whole = { header: this.#deps.header(revision), watchId: watch.id };
    const bytesMax = this.#deps.requestBytesMax + limits.grpcOverheadBytes;
    if (!watch.fragment || events.length < 2 || responseBytes(whole, events) < bytesMax) {
      this.#send({ ...whole, events });
      return;
    }
    const part = { ...whole, fragment: true };
    const emptyBytes = responseBytes(part, []);
    let piece: Uint8Array[] = [];
    let bytes = emptyBytes;
    for (const event of events) {
      if (piece.length > 0 && bytes + fieldBytes(event) >= bytesMax) {
        this.#send({ ...part, events: piece });
        piece = [];
        bytes = emptyBytes;
      }
      piece.push(event);
      bytes += fieldBytes(event);
    }
    this.#send({ ...whole, events: piece });
  }

  #encodeEvent(event: Event, wantsPrevKv: boolean): Uint8Array {
    if (!wantsPrevKv || (event.type === 'put' && event.createRevision === event.revision)) {
      return sharedEvent(event);
    }
    return encodeEvent(event, this.#deps.store.at(event.key, event.revision - 1));
  }

  #header(): ResponseHeader {
    return this.#deps.header(this.#deps.store.revision);
  }

  #send(response: Partial<WatchResponse>): void {
    this.#output.send({ ...EMPTY_RESPONSE, ...response });
  }

  #resumeOnDrain(): void {
    if (this.#waitsForDrain) return;
    this.#waitsForDrain = true;
    this.#output.onDrain(() => {
      this.#waitsForDrain = false;
      const blocked = [...this.#blocked];
      this.#blocked.clear();
      for (const watcher of blocked) this.#deps.hub.resume(watcher);
    });
  }
}

/** etcd: why a watch is refused for lack of rights, as the text of a gRPC status. */
const TOLD: readonly EtcdError[] = [
  errors.invalidAuthToken,
  errors.authOldRevision,
  errors.userEmpty,
];
const CODE_NAMES: Readonly<Record<number, string>> = {
  [Code.INVALID_ARGUMENT]: 'InvalidArgument',
  [Code.PERMISSION_DENIED]: 'PermissionDenied',
  [Code.UNAUTHENTICATED]: 'Unauthenticated',
};

function statusText({ code, message }: EtcdError): string {
  return `rpc error: code = ${CODE_NAMES[code]} desc = ${message}`;
}

const EMPTY_RESPONSE: WatchResponse = {
  header: null,
  watchId: 0,
  created: false,
  canceled: false,
  compactRevision: 0,
  cancelReason: '',
  fragment: false,
  events: [],
};

/** The encoded size, without encoding the events once more. */
function responseBytes(response: Partial<WatchResponse>, events: readonly Uint8Array[]): number {
  let bytes = encode(encodeWatchResponse, { ...EMPTY_RESPONSE, ...response }).length;
  for (const event of events) bytes += fieldBytes(event);
  return bytes;
}

/** Tag, length and bytes of one event in a response. */
function fieldBytes({ length }: Uint8Array): number {
  let bytes = 2 + length;
  for (let rest = length; rest > 0x7f; rest >>>= 7) bytes++;
  return bytes;
}

const eventWriter = new Writer();
const sharedEvents = new WeakMap<Event, Uint8Array>();

/** The wire form of an event without its previous value, encoded once for all watchers. */
function sharedEvent(event: Event): Uint8Array {
  let bytes = sharedEvents.get(event);
  if (bytes === undefined) {
    bytes = encodeEvent(event, null);
    sharedEvents.set(event, bytes);
  }
  return bytes;
}

/** `mvccpb.Event`: type 1, kv 2, prev_kv 3. */
function encodeEvent(event: Event, prevKv: Uint8Array | null): Uint8Array {
  const w = eventWriter.reset();
  if (event.type === 'delete') {
    w.uint32(8);
    w.uint32(EventType.DELETE);
  }
  w.uint32(18);
  w.bytes(event.kv);
  if (prevKv !== null) {
    w.uint32(26);
    w.bytes(prevKv);
  }
  return w.finish();
}
