/**
 * What a member asks others at their peer URLs, one URL at a time. An answer that is an error of
 * the catalogue rejects with it; no answer in time, or one that makes no sense, with another error.
 */

import {
  decodeLeaseKeepAliveResponse,
  encodeLeaseKeepAliveRequest,
} from '../codec/gen/etcdserverpb.ts';
import { decodeLeaseInternalResponse, encodeLeaseInternalRequest } from '../codec/gen/leasepb.ts';
import { decode, encode } from '../codec/wire.ts';
import { errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Clock } from '../ports.ts';
import type { Member } from '../replica/members.ts';
import type { ClientTls } from '../tls/client-tls.ts';
import {
  type ClusterId,
  EMPTY_BYTES,
  hexId,
  type LeaseId,
  type MemberId,
  type Revision,
} from '../types.ts';
import { Dialer, type DialOptions } from './dial.ts';
import { type Answer, exchange } from './exchange.ts';
import { CLUSTER_ID_MISMATCH, headerOf, JOINT_CHANGES_HEADER, parseClusterId } from './headers.ts';
import { parseMembers } from './member-list.ts';
import type { LeaseTimes } from './peer-api.ts';

export interface PeerMembers {
  readonly clusterId: ClusterId;
  readonly members: readonly Member[];
}

export interface PeerVersions {
  readonly server: string;
  /** `not_decided` until it is. */
  readonly cluster: string;
  /** The member knows joint membership changes. */
  readonly jointChanges: boolean;
}

export interface PeerHash {
  /** At which the other member stands. */
  readonly revision: Revision;
  readonly hash: number;
  readonly compactRevision: Revision;
  /** At which was hashed; 0 from members before 3.6. */
  readonly hashRevision: Revision;
}

/** For questions that are ended by a signal. */
const TIMEOUT_MS_MAX = 60_000;

interface Question {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly connection?: DialOptions['connection'];
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export class PeerClient {
  readonly #dialer: Dialer;
  readonly #clock: Pick<Clock, 'every'>;

  /** `tls` is for secure URLs. */
  constructor(options: { readonly clock: Pick<Clock, 'every'>; readonly tls?: ClientTls | null }) {
    this.#clock = options.clock;
    this.#dialer = new Dialer(options.tls);
  }

  async members(url: string, timeoutMs: number): Promise<PeerMembers> {
    const { headers, body } = await this.#askOk(url, '/members', { timeoutMs });
    const clusterId = parseClusterId(headerOf(headers, 'x-etcd-cluster-id'));
    if (clusterId === null) throw new Error('the answer does not say which cluster it is of');
    return { clusterId, members: parseMembers(body.toString()) };
  }

  async version(url: string, timeoutMs: number): Promise<PeerVersions> {
    const { headers, body } = await this.#askOk(url, '/version', { timeoutMs });
    const { etcdserver, etcdcluster } = fieldsOf(body);
    if (typeof etcdserver !== 'string' || typeof etcdcluster !== 'string') {
      throw new Error('the answer has no versions');
    }
    const jointChanges = headerOf(headers, JOINT_CHANGES_HEADER.toLowerCase()) === 'true';
    return { server: etcdserver, cluster: etcdcluster, jointChanges };
  }

  /** etcd: members before 3.5 do not know the question, and are taken as not having answered. */
  async downgradeEnabled(url: string, timeoutMs: number): Promise<boolean> {
    const { body } = await this.#askOk(url, '/downgrade/enabled', { timeoutMs });
    const text = body.toString();
    if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
    if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
    throw new Error(`not a truth value: ${JSON.stringify(text)}`);
  }

  /**
   * The members afterwards. Rejects with `memberNotFound`, `memberNotLearner`, `learnerNotReady` or
   * `timeout`.
   */
  async promote(
    url: string,
    id: MemberId,
    token: string | null,
    signal: AbortSignal,
  ): Promise<readonly Member[]> {
    const answer = await this.#ask(url, `/members/promote/${id}`, {
      method: 'POST',
      headers: token === null ? {} : { Authorization: token },
      // Asked again, it would have another answer; a connection of its own is not asked again.
      connection: 'own',
      signal,
    });
    const text = answer.body.toString();
    if (answer.status === 408) throw errors.timeout;
    if (answer.status === 404) throw errors.memberNotFound;
    if (answer.status === 412) {
      if (text.includes(errors.learnerNotReady.message)) throw errors.learnerNotReady;
      if (text.includes('can only promote a learner member')) throw errors.memberNotLearner;
    }
    if (answer.status !== 200) throw new Error(`member promote: unknown error(${text})`);
    return parseMembers(text);
  }

  /** The granted TTL. Rejects with `leaseNotFound`, `timeoutWaitAppliedIndex`. */
  async leaseKeepAlive(url: string, id: LeaseId, signal: AbortSignal): Promise<number> {
    const asked = encode(encodeLeaseKeepAliveRequest, { id });
    const body = await this.#askLease(url, '/leases', asked, signal);
    const answer = decode(decodeLeaseKeepAliveResponse, body);
    if (answer.id !== id) throw new Error('lease: renew id mismatch');
    return answer.ttl;
  }

  /** Rejects with `leaseNotFound`, `timeoutWaitAppliedIndex`. */
  async leaseTimeToLive(
    url: string,
    id: LeaseId,
    keys: boolean,
    signal: AbortSignal,
  ): Promise<LeaseTimes> {
    const asked = encode(encodeLeaseInternalRequest, { leaseTimeToLiveRequest: { id, keys } });
    const body = await this.#askLease(url, '/leases/internal', asked, signal);
    const answer = decode(decodeLeaseInternalResponse, body).leaseTimeToLiveResponse;
    if (answer?.id !== id) throw new Error('lease: TTL id mismatch');
    return { ttl: answer.ttl, grantedTtl: answer.grantedTtl, keys: answer.keys };
  }

  /** Rejects with `compacted`, `futureRev` or `clusterIdMismatch`. */
  async hashKv(
    url: string,
    revision: Revision,
    clusterId: ClusterId,
    timeoutMs: number,
    signal: AbortSignal | null = null,
  ): Promise<PeerHash> {
    const { status, body } = await this.#ask(url, '/members/hashkv', {
      headers: { 'Content-Type': 'application/json', 'X-Etcd-Cluster-ID': hexId(clusterId) },
      body: Buffer.from(revision === 0 ? '{}' : `{"revision":${revision}}`),
      timeoutMs,
      ...(signal === null ? {} : { signal }),
    });
    const text = body.toString();
    if (status === 400 && text.includes('required revision has been compacted')) {
      throw errors.compacted;
    }
    if (status === 400 && text.includes('required revision is a future revision')) {
      throw errors.futureRev;
    }
    if (status === 412 && text.includes(CLUSTER_ID_MISMATCH)) throw errors.clusterIdMismatch;
    if (status !== 200) throw new Error(`unknown error: ${text}`);
    const fields = fieldsOf(body);
    const header = objectOf(fields['header']);
    return {
      revision: countOf(header['revision']),
      hash: countOf(fields['hash']),
      compactRevision: countOf(fields['compact_revision']),
      hashRevision: countOf(fields['hash_revision']),
    };
  }

  /** Ends the connections that are kept for later questions. */
  close(): void {
    this.#dialer.close();
  }

  async #askLease(
    url: string,
    path: string,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const headers = { 'Content-Type': 'application/protobuf' };
    const answer = await this.#ask(url, path, { method: 'POST', headers, body, signal });
    if (answer.status === 408) throw errors.timeoutWaitAppliedIndex;
    if (answer.status === 404) throw errors.leaseNotFound;
    if (answer.status !== 200) throw new Error(`lease: unknown error(${answer.body.toString()})`);
    return answer.body;
  }

  async #askOk(url: string, path: string, question: Question): Promise<Answer> {
    const answer = await this.#ask(url, path, question);
    if (answer.status === 200) return answer;
    throw new Error(`unexpected status ${answer.status} of ${url}${path}`);
  }

  #ask(url: string, path: string, question: Question): Promise<Answer> {
    return exchange(
      { dialer: this.#dialer, clock: this.#clock },
      {
        url,
        path,
        method: question.method ?? 'GET',
        headers: question.headers ?? {},
        body: question.body ?? EMPTY_BYTES,
        connection: question.connection ?? 'kept',
        timeoutMs: question.timeoutMs ?? TIMEOUT_MS_MAX,
        answerBytesMax: limits.peerAnswerBytesMax,
        signal: question.signal ?? null,
      },
    );
  }
}

function fieldsOf(body: Buffer): Readonly<Record<string, unknown>> {
  return objectOf(JSON.parse(body.toString()));
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new Error('not a JSON object');
  return value as Readonly<Record<string, unknown>>;
}

/** Go leaves out what is zero. */
function countOf(value: unknown): number {
  if (value === undefined) return 0;
  if (typeof value !== 'number') throw new Error('not a number');
  return value;
}
