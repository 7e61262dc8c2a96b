/** The services of a lone member, called as transports call them, without a network. */

import { must } from '../../src/assert.ts';
import type { ResponseHeader } from '../../src/codec/gen/etcdserverpb.ts';
import { decode, encode, type Reader, type Writer } from '../../src/codec/wire.ts';
import type { EtcdError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import type { Stop } from '../../src/ports.ts';
import { Access } from '../../src/server/access.ts';
import { createAuth } from '../../src/server/auth.ts';
import { authMethods } from '../../src/server/auth-methods.ts';
import { electionMethods } from '../../src/server/election.ts';
import { createKv, kvMethods } from '../../src/server/kv.ts';
import { createLeaderCalls } from '../../src/server/leader-calls.ts';
import { createLease, type LeasePeers, leaseMethods } from '../../src/server/lease.ts';
import { lockMethods } from '../../src/server/lock.ts';
import { createPrimaryLeases } from '../../src/server/primary-leases.ts';
import type { Caller, Input, Method, Output } from '../../src/server/rpc.ts';
import { DatabaseSize, Space } from '../../src/server/space.ts';
import { createWatch } from '../../src/server/watch.ts';
import type { Revision } from '../../src/types.ts';
import { authOptions } from './auth.ts';
import { type LoneOptions, LoneReplica, TICK_MS } from './lone-replica.ts';

export class FakeCaller implements Caller {
  readonly headers = new Map<string, string>();
  commonName = '';
  overGateway = false;
  cancelled = false;
  #waiting = new Set<() => void>();

  metadata(name: string): string | null {
    return this.headers.get(name) ?? null;
  }

  onCancel(fn: () => void): Stop {
    this.#waiting.add(fn);
    return () => this.#waiting.delete(fn);
  }

  /** Callbacks that would still be called. */
  get listenerCount(): number {
    return this.#waiting.size;
  }

  cancel(): void {
    this.cancelled = true;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const fn of waiting) fn();
  }
}

/** Collects answers; `bufferedBytes` is what a test says. */
export class FakeOutput<Res> implements Output<Uint8Array> {
  readonly sent: Res[] = [];
  readonly bytes: number[] = [];
  bufferedBytes = 0;
  /** `undefined` while it is open. */
  ended: EtcdError | null | undefined = undefined;
  readonly #decode: (reader: Reader) => Res;
  #waiting: (() => void)[] = [];

  constructor(decoder: (reader: Reader) => Res) {
    this.#decode = decoder;
  }

  send(message: Uint8Array): void {
    this.bytes.push(message.length);
    this.sent.push(decode(this.#decode, message));
  }

  onDrain(fn: () => void): void {
    this.#waiting.push(fn);
  }

  drain(): void {
    this.bufferedBytes = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const fn of waiting) fn();
  }

  end(error: EtcdError | null): void {
    this.ended = error;
  }

  /** What was sent since the last call. */
  take(): Res[] {
    return this.sent.splice(0);
  }
}

export const REQUEST_TIMEOUT_MS = 7000;

export interface ServiceOptions {
  readonly quotaBytes?: number | null;
  readonly requestBytesMax?: number;
  readonly progressIntervalMs?: number;
  readonly txnOpsMax?: number;
  readonly leasePeers?: LeasePeers;
  readonly leaseCheckpoints?: boolean;
}

export interface OpenStream<Req, Res> {
  readonly input: Input<Req>;
  readonly output: FakeOutput<Res>;
  readonly caller: FakeCaller;
}

export async function startServices(options: ServiceOptions = {}, lone: LoneOptions = {}) {
  const { tokens, passwords } = authOptions();
  const member = await LoneReplica.start({
    ...lone,
    bootstrap: { ...lone.bootstrap, auth: { tokens, passwords } },
  });
  const { replica, clock } = member;
  const { store, hub } = replica.stateMachine;
  const size = new DatabaseSize(member.rows);
  const space = new Space(replica, size, options.quotaBytes ?? null);
  const onFatal = (error: unknown): void => {
    member.fatal.push(error);
  };
  const header = (revision: Revision): ResponseHeader => ({
    clusterId: replica.clusterId,
    memberId: replica.memberId,
    revision,
    raftTerm: replica.term,
  });
  const requestBytesMax = options.requestBytesMax ?? 1_572_864;
  const yields = { count: 0, between: () => {} };
  const access = new Access({ replica, tokens });
  const kv = createKv({
    replica,
    access,
    space,
    txnOpsMax: options.txnOpsMax ?? 128,
    requestBytesMax,
    header,
    yieldNow: () =>
      new Promise((resolve) => {
        yields.count++;
        clock.defer(() => {
          yields.between();
          resolve();
        });
      }),
    observer: { rangeRead() {}, readAnswered() {}, rangeDone() {}, txnDone() {} },
    monotonic: () => clock.monotonic(),
    onFatal,
  });
  const lease = leaseOf(member, options, { access, space, header });
  clock.every(TICK_MS, () => lease.tick(clock.monotonic()));
  const watch = createWatch({
    access,
    store,
    hub,
    random: { below: () => 0, u64: () => 0n },
    requestBytesMax,
    progressIntervalMs: options.progressIntervalMs ?? 600_000,
    observer: { controlSent() {}, eventsSent() {}, progressSent() {} },
    monotonic: () => clock.monotonic(),
    header,
    onFatal,
  });
  const now = (): ResponseHeader => header(store.revision);
  const auth = createAuth({ replica, access, tokens, passwords, log: silentLog(), header: now });
  const concurrency = { kv, lease, hub, onFatal };
  const methods: readonly Method[] = [
    ...kvMethods(kv),
    ...leaseMethods(lease, onFatal),
    ...watch.methods,
    ...authMethods(auth),
    ...lockMethods(concurrency),
    ...electionMethods(concurrency),
  ];

  const run = <T>(promise: T | Promise<T>): Promise<T> =>
    member.whileRunning(Promise.resolve(promise));
  const parts = { member, replica, store, hub, clock, size, space, kv, lease, watch, yields };
  return { ...parts, auth, passwords, ...callsOf(methods), run };
}

interface Basis {
  readonly access: Access;
  readonly space: Space;
  readonly header: (revision: Revision) => ResponseHeader;
}

function leaseOf(
  { replica, clock }: LoneReplica,
  options: ServiceOptions,
  { access, space, header }: Basis,
) {
  const { store } = replica.stateMachine;
  const unreached = (): Promise<never> => Promise.reject(new Error('no other member'));
  return createLease({
    replica,
    access,
    primary: createPrimaryLeases({ replica, checkpoints: options.leaseCheckpoints ?? false }),
    askLeader: createLeaderCalls({ replica, clock, requestTimeoutMs: REQUEST_TIMEOUT_MS }),
    peers: options.leasePeers ?? { leaseKeepAlive: unreached, leaseTimeToLive: unreached },
    fastKeepAlive: true,
    tickMs: TICK_MS,
    monotonic: () => clock.monotonic(),
    space,
    header: () => header(store.revision),
  });
}

function callsOf(methods: readonly Method[]) {
  const method = (name: string): Method =>
    must(
      methods.find((candidate) => candidate.name === name),
      'a method of this name',
    );
  return {
    /** Opens a stream; requests are encoded as a client would do it. */
    open<Req, Res>(
      name: string,
      encoder: (writer: Writer, request: Req) => void,
      decoder: (reader: Reader) => Res,
    ): OpenStream<Req, Res> {
      const stream = method(name);
      if (stream.kind === 'unary') throw new Error(`${name} is unary`);
      const caller = new FakeCaller();
      const output = new FakeOutput(decoder);
      const raw = stream.open(caller, output);
      return {
        caller,
        output,
        input: {
          message: (request) => raw.message(encode(encoder, request)),
          halfClose: () => raw.halfClose(),
          close: () => raw.close(),
        },
      };
    },

    /** Calls a unary method over the wire form. */
    async call<Req, Res>(
      name: string,
      shape: {
        readonly encode: (writer: Writer, request: Req) => void;
        readonly decode: (reader: Reader) => Res;
      },
      request: Req,
      caller: Caller = new FakeCaller(),
    ): Promise<Res> {
      const unary = method(name);
      if (unary.kind !== 'unary') throw new Error(`${name} is a stream`);
      return decode(shape.decode, await unary.call(encode(shape.encode, request), caller));
    },
  };
}

export type Services = Awaited<ReturnType<typeof startServices>>;
