/**
 * What every call passes before its service sees it, whichever way it came (etcd's interceptors):
 * a learner serves little, the client API version must be text, and who requires a leader gets none
 * of the waiting.
 *
 * It knows the streams that are open, to end them when the leader is lost or the member stops.
 */

import { decodeRangeRequest } from '../codec/gen/etcdserverpb.ts';
import { decode } from '../codec/wire.ts';
import { type EtcdError, errors } from '../errors.ts';
import type { Replica } from '../replica/replica.ts';
import type { Caller, Input, Output, StreamMethod, UnaryMethod } from './rpc.ts';

export interface RpcGate {
  unary(method: UnaryMethod, request: Uint8Array, caller: Caller): Uint8Array | Promise<Uint8Array>;
  stream(method: StreamMethod, caller: Caller, output: Output<Uint8Array>): Input<Uint8Array>;
  /** Called once per heartbeat interval. */
  tick(): void;
  /** Ends every stream and refuses new calls. */
  close(): void;
}

/** etcd: checks, one per election timeout, that find no leader before streams are ended. */
const LEADERLESS_CHECKS_MAX = 3;

interface OpenStream {
  readonly output: Output<Uint8Array>;
  readonly requiresLeader: boolean;
}

export function createRpcGate(
  replica: Pick<Replica, 'lead' | 'isLearner'>,
  { electionTicks }: { readonly electionTicks: number } = { electionTicks: 10 },
): RpcGate {
  const streams = new Set<OpenStream>();
  let closed = false;
  let ticks = 0;
  let leaderlessChecks = 0;
  const requiresLeader = (caller: Caller): boolean => caller.metadata('hasleader') === 'true';
  const admit = (caller: Caller, servesLearner: () => boolean): void => {
    if (closed) throw errors.stopped;
    if (replica.isLearner && !servesLearner()) throw errors.notSupportedForLearner;
    const version = caller.metadata('client-api-version');
    if (version !== null && !isUtf8(version)) throw errors.invalidClientApiVersion;
    if (replica.lead === null && requiresLeader(caller)) throw errors.noLeader;
  };
  const endStreams = (which: (stream: OpenStream) => boolean, error: EtcdError): void => {
    for (const stream of [...streams]) {
      if (!which(stream)) continue;
      streams.delete(stream);
      stream.output.end(error);
    }
  };
  return {
    unary(method, request, caller) {
      admit(caller, () => learnerCalls(method, request));
      return method.call(request, caller);
    },
    stream(method, caller, output) {
      admit(caller, () => isNamed(method, 'Maintenance', 'Snapshot'));
      const stream = { output, requiresLeader: requiresLeader(caller) };
      const input = method.open(caller, output);
      streams.add(stream);
      return {
        message: (request) => input.message(request),
        halfClose: () => input.halfClose(),
        close() {
          streams.delete(stream);
          input.close();
        },
      };
    },
    tick() {
      ticks++;
      if (ticks % electionTicks !== 0) return;
      leaderlessChecks = replica.lead === null ? leaderlessChecks + 1 : 0;
      if (leaderlessChecks < LEADERLESS_CHECKS_MAX) return;
      endStreams((stream) => stream.requiresLeader, errors.noLeader);
    },
    close() {
      closed = true;
      endStreams(() => true, errors.stopped);
    },
  };
}

/** Whether a learner, which may lag behind for long, answers this call. */
function learnerCalls(method: UnaryMethod, request: Uint8Array): boolean {
  if (isNamed(method, 'Maintenance', 'Status')) return true;
  return isNamed(method, 'KV', 'Range') && decode(decodeRangeRequest, request).serializable;
}

function isNamed(method: UnaryMethod | StreamMethod, service: string, name: string): boolean {
  return method.name === name && method.service === `etcdserverpb.${service}`;
}

/** Header values arrive as latin1, one character per byte. */
function isUtf8(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) >= 0x80) {
      const bytes = Buffer.from(text, 'latin1');
      return Buffer.from(bytes.toString('utf8')).equals(bytes);
    }
  }
  return true;
}
