/**
 * The peer port beside Raft: what members ask each other before they join, and what followers ask
 * the leader. Statuses and texts are etcd's, because the callers tell errors apart by them.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  decodeLeaseKeepAliveRequest,
  encodeLeaseKeepAliveResponse,
  type HashKVResponse,
} from '../codec/gen/etcdserverpb.ts';
import { decodeLeaseInternalRequest, encodeLeaseInternalResponse } from '../codec/gen/leasepb.ts';
import { DecodeError, decode, encode, type Reader } from '../codec/wire.ts';
import { EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import { type ClusterId, hexId, type MemberId } from '../types.ts';
import { allowMethod, answer, answerError, answerLast, JSON_TYPE, notFound } from './answers.ts';
import type { PeerLog } from './context.ts';
import { reasonOf } from './exchange.ts';
import { CLUSTER_ID_MISMATCH, headerOf, JOINT_CHANGES_HEADER } from './headers.ts';
import { IncomingBody, type Ticks, TooLongError } from './incoming-body.ts';
import type { PeerApi } from './peer-api.ts';

export interface ApiDeps {
  readonly api: PeerApi;
  readonly transport: Ticks & { readonly context: { readonly log: PeerLog } };
}

type Serve = (
  deps: ApiDeps,
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void> | void;

const ENDPOINTS: ReadonlyMap<string, Serve> = new Map<string, Serve>([
  ['/members', serveMembers],
  ['/members/hashkv', serveHashKv],
  ['/version', serveVersion],
  ['/leases', serveKeepAlive],
  ['/leases/internal', serveTimeToLive],
  ['/downgrade/enabled', serveDowngradeEnabled],
]);
const PROMOTE_PREFIX = '/members/promote/';

/** `path`: of the URL, without its query. Rejects only for a bug. */
export async function serveApi(
  deps: ApiDeps,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const serve = ENDPOINTS.get(path);
  if (serve !== undefined) return serve(deps, request, response);
  if (path.startsWith(PROMOTE_PREFIX)) {
    return servePromote(deps, path.slice(PROMOTE_PREFIX.length), response);
  }
  notFound(response);
}

function serveMembers({ api }: ApiDeps, _request: IncomingMessage, response: ServerResponse): void {
  if (!allowMethod(response, 'GET')) return;
  tellCluster(api, response);
  answer(response, { status: 200, type: JSON_TYPE, body: api.members() });
}

function serveVersion({ api }: ApiDeps, _request: IncomingMessage, response: ServerResponse): void {
  if (!allowMethod(response, 'GET')) return;
  response.setHeader(JOINT_CHANGES_HEADER, 'true');
  answer(response, { status: 200, type: JSON_TYPE, body: api.version() });
}

// etcd: these reach a caller as texts of other packages than those that clients see.
const NOT_FOUND_TEXT = 'membership: ID not found';
const NOT_LEARNER_TEXT = 'membership: can only promote a learner member';
const LEASE_NOT_FOUND_TEXT = 'lease not found';
const NOT_CAUGHT_UP_TEXT = 'waiting for node to catch up its applied index has timed out';

async function servePromote(
  { api, transport }: ApiDeps,
  text: string,
  response: ServerResponse,
): Promise<void> {
  if (!allowMethod(response, 'POST')) return;
  tellCluster(api, response);
  const id = parseDecimalId(text);
  if (id === null) return answerError(response, 404, `member ${text} not found in cluster`);
  const token = headerOf(response.req.headers, 'authorization');
  let members: string;
  try {
    members = await api.promote(id, token === '' ? null : token);
  } catch (error) {
    const { message } = expected(error);
    transport.context.log.warn('failed to promote a member', {
      'member-id': hexId(id),
      error: message,
    });
    if (error === errors.memberNotFound) return answerError(response, 404, NOT_FOUND_TEXT);
    if (error === errors.memberNotLearner) return answerError(response, 412, NOT_LEARNER_TEXT);
    if (error === errors.learnerNotReady) return answerError(response, 412, message);
    const body = '{"message":"Internal Server Error"}';
    return answer(response, { status: 500, type: JSON_TYPE, body });
  }
  answer(response, { status: 200, type: JSON_TYPE, body: members });
}

async function serveKeepAlive(
  deps: ApiDeps,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const asked = await readLeaseRequest(deps, request, response, decodeLeaseKeepAliveRequest);
  if (asked === null) return;
  try {
    const ttl = await deps.api.leaseKeepAlive(asked.id);
    const body = encode(encodeLeaseKeepAliveResponse, { header: null, id: asked.id, ttl });
    answer(response, { status: 200, type: PROTOBUF_TYPE, body });
  } catch (error) {
    answerLeaseError(response, expected(error), 400);
  }
}

async function serveTimeToLive(
  deps: ApiDeps,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const asked = await readLeaseRequest(deps, request, response, decodeLeaseInternalRequest);
  if (asked === null) return;
  const { leaseTimeToLiveRequest } = asked;
  // etcd's handler panics there.
  if (leaseTimeToLiveRequest === null) return void request.socket.destroy();
  const { id, keys } = leaseTimeToLiveRequest;
  try {
    const times = await deps.api.leaseTimeToLive(id, keys);
    const body = encode(encodeLeaseInternalResponse, {
      leaseTimeToLiveResponse: { ...times, header: EMPTY_HEADER, id },
    });
    answer(response, { status: 200, type: PROTOBUF_TYPE, body });
  } catch (error) {
    answerLeaseError(response, expected(error), 500);
  }
}

const EMPTY_HEADER = {
  clusterId: 0n as ClusterId,
  memberId: 0n as MemberId,
  revision: 0,
  raftTerm: 0,
};
const PROTOBUF_TYPE = 'application/protobuf';

/** `null`: the request was refused. */
async function readLeaseRequest<T>(
  { transport }: ApiDeps,
  request: IncomingMessage,
  response: ServerResponse,
  decoder: (r: Reader) => T,
): Promise<T | null> {
  if (request.method !== 'POST') {
    answerError(response, 405, 'Method Not Allowed');
    return null;
  }
  try {
    const body = await new IncomingBody(request, transport).all(limits.peerRequestBytesMax);
    return decode(decoder, body);
  } catch (error) {
    reasonOf(error);
    if (error instanceof TooLongError) answerLast(response, 413, error.message);
    else if (error instanceof DecodeError) {
      answerError(response, 400, 'error unmarshalling request');
    } else answerLast(response, 400, 'error reading body');
    return null;
  }
}

function answerLeaseError(
  response: ServerResponse,
  error: EtcdError,
  otherStatus: 400 | 500,
): void {
  if (error === errors.leaseNotFound) return answerError(response, 404, LEASE_NOT_FOUND_TEXT);
  if (error === errors.timeoutWaitAppliedIndex) {
    return answerError(response, 408, NOT_CAUGHT_UP_TEXT);
  }
  answerError(response, otherStatus, error.message);
}

async function serveHashKv(
  { api, transport }: ApiDeps,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { log } = transport.context;
  if (!allowMethod(response, 'GET')) return;
  const cluster = headerOf(request.headers, 'x-etcd-cluster-id');
  if (cluster !== '' && cluster !== hexId(api.clusterId)) {
    return answerError(response, 412, CLUSTER_ID_MISMATCH);
  }
  let body: Buffer;
  try {
    body = await new IncomingBody(request, transport).all(limits.peerRequestBytesMax);
  } catch (error) {
    reasonOf(error);
    return answerLast(response, 400, 'error reading body');
  }
  const revision = revisionOf(body.toString());
  if (revision === null) {
    log.warn('failed to unmarshal request');
    return answerError(response, 400, 'error unmarshalling request');
  }
  try {
    const hashed = await api.hashKv(revision);
    tellCluster(api, response);
    answer(response, { status: 200, type: JSON_TYPE, body: hashText(hashed) });
  } catch (error) {
    const { message } = expected(error);
    log.warn('failed to get hashKV', { 'requested-revision': revision, error: message });
    answerError(response, 400, message.replace(/^etcdserver: /, ''));
  }
}

/** `null` for what Go would not read as a request. */
function revisionOf(text: string): number | null {
  let asked: unknown;
  try {
    asked = JSON.parse(text);
  } catch {
    return null;
  }
  if (asked === null) return 0;
  if (typeof asked !== 'object' || Array.isArray(asked)) return null;
  const revision: unknown = 'revision' in asked ? asked.revision : 0;
  return Number.isInteger(revision) ? (revision as number) : null;
}

/** As Go prints the message: what is zero is left out. */
function hashText({ header, hash, compactRevision, hashRevision }: HashKVResponse): string {
  const parts = [`"header":{"revision":${header?.revision ?? 0}}`];
  if (hash !== 0) parts.push(`"hash":${hash}`);
  if (compactRevision !== 0) parts.push(`"compact_revision":${compactRevision}`);
  if (hashRevision !== 0) parts.push(`"hash_revision":${hashRevision}`);
  return `{${parts.join(',')}}`;
}

async function serveDowngradeEnabled(
  { api }: ApiDeps,
  _request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!allowMethod(response, 'GET')) return;
  tellCluster(api, response);
  try {
    const isEnabled = await api.downgradeEnabled();
    answer(response, { status: 200, type: 'text/plain', body: String(isEnabled) });
  } catch (error) {
    answerError(response, 500, `failed linearized read: ${expected(error).message}`);
  }
}

function tellCluster({ clusterId }: PeerApi, response: ServerResponse): void {
  response.setHeader('X-Etcd-Cluster-ID', hexId(clusterId));
}

/** Anything else is a bug. */
function expected(error: unknown): EtcdError {
  if (error instanceof EtcdError) return error;
  throw error;
}

/** As Go's ParseUint to base 10. */
function parseDecimalId(text: string): MemberId | null {
  if (!/^\d+$/.test(text)) return null;
  const id = BigInt(text);
  return id < 2n ** 64n ? (id as MemberId) : null;
}
