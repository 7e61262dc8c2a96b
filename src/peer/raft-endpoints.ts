/**
 * What other members ask of this one's transport, everything under `/raft`: streams, posted
 * messages, snapshots and probes. Checks, their order and their texts are etcd's, because the
 * callers compare them.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { decodeMessage } from '../codec/raftpb.ts';
import { DecodeError } from '../codec/wire.ts';
import { limits } from '../limits.ts';
import { hexId } from '../types.ts';
import { allowMethod, answerError, answerLast, answerText, notFound } from './answers.ts';
import { reasonOf } from './exchange.ts';
import type { StreamKind } from './frames.ts';
import {
  arePeerUrls,
  CLUSTER_ID_MISMATCH,
  headerOf,
  INCOMPATIBLE_VERSION,
  parseHexId,
  remoteVersions,
  versionProblem,
} from './headers.ts';
import { IncomingBody } from './incoming-body.ts';
import { receiveSnapshot } from './snapshot-receiver.ts';
import type { Transport } from './transport.ts';

const STREAM_PATHS: ReadonlyMap<string, StreamKind> = new Map([
  ['/raft/stream/message', 'message'],
  ['/raft/stream/msgapp', 'msgapp'],
]);

/** `path`: of the URL, without its query. Rejects only for a bug. */
export async function serveRaft(
  transport: Transport,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (path === '/raft') return servePost(transport, request, response);
  if (path.startsWith('/raft/stream/')) return serveStream(transport, path, request, response);
  if (path === '/raft/snapshot') return serveSnapshot(transport, request, response);
  if (path === '/raft/probing') {
    const now = new Date(transport.context.clock.now()).toISOString();
    return answerText(response, `{"OK":true,"Now":"${now}"}\n`);
  }
  notFound(response);
}

function serveStream(
  transport: Transport,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { memberId, clusterId, serverVersion, log } = transport.context;
  if (!allowMethod(response, 'GET')) return;
  response.setHeader('X-Server-Version', serverVersion);
  response.setHeader('X-Etcd-Cluster-ID', hexId(clusterId));
  if (!isCompatible(transport, request, response)) return;
  const slash = path.lastIndexOf('/');
  const kind = STREAM_PATHS.get(path.slice(0, slash));
  if (kind === undefined) return answerError(response, 404, 'invalid path');
  const from = parseHexId(path.slice(slash + 1));
  if (from === null) return answerError(response, 404, 'invalid from');
  const fields = { 'local-member-id': hexId(memberId), 'remote-peer-id-from': hexId(from) };
  if (transport.isRemoved(from)) {
    log.warn('rejected stream from remote peer because it was removed', fields);
    return answerError(response, 410, 'removed member');
  }
  if (!transport.isPeer(from)) {
    const urls = headerOf(request.headers, 'x-peerurls');
    if (urls !== '' && !addRemote(transport, hexId(from), urls)) return cut(request);
    log.warn('failed to find remote peer in cluster', {
      ...fields,
      'cluster-id': hexId(clusterId),
    });
    return answerError(response, 404, 'error sender not found');
  }
  const to = headerOf(request.headers, 'x-raft-to');
  if (to !== hexId(memberId)) {
    log.warn('ignored streaming request; ID mismatch', { ...fields, 'remote-peer-id-header': to });
    return answerError(response, 412, 'to field mismatch');
  }
  // Somebody who has sent another request before this one is not a member.
  if (response.socket === null) return cut(request);
  response.writeHead(200);
  response.flushHeaders();
  transport.attach(from, kind, response, response.socket);
}

async function servePost(
  transport: Transport,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { clusterId, memberId, log, observer, deliver } = transport.context;
  if (!allowMethod(response, 'POST')) return;
  response.setHeader('X-Etcd-Cluster-ID', hexId(clusterId));
  if (!isCompatible(transport, request, response)) return;
  if (!addRemoteFrom(transport, request)) return cut(request);
  const address = request.socket.remoteAddress ?? '';
  const local = { 'local-member-id': hexId(memberId) };
  const refuse = (msg: string, error: string, text: string): void => {
    log.warn(msg, { ...local, error });
    observer.receiveFailed(address);
    answerLast(response, 400, text);
  };
  let bytes: Buffer;
  try {
    bytes = await new IncomingBody(request, transport).all(limits.peerPostBytesMax);
  } catch (error) {
    return refuse('failed to read Raft message', reasonOf(error), 'error reading raft message');
  }
  try {
    const message = decodeMessage(bytes);
    if (message !== null) {
      observer.received(message.from, bytes.length);
      const problem = transport.problemOf(message);
      if (problem !== null) {
        log.warn('failed to process Raft message', { ...local, error: problem });
        // etcd cuts the connection too.
        return answerLast(response, 500, 'error processing raft message');
      }
      deliver(message);
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const text = 'error unmarshalling raft message';
    return refuse('failed to unmarshal Raft message', error.message, text);
  }
  response.writeHead(204).end();
}

async function serveSnapshot(
  transport: Transport,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { clusterId, observer } = transport.context;
  response.on('error', () => {});
  const refused = (): void => observer.snapshotRefused('UNKNOWN_SNAPSHOT_SENDER');
  if (!allowMethod(response, 'POST')) return refused();
  response.setHeader('X-Etcd-Cluster-ID', hexId(clusterId));
  if (!isCompatible(transport, request, response)) return refused();
  if (!addRemoteFrom(transport, request)) return cut(request);
  const problem = await receiveSnapshot(transport, request);
  if (problem === null) response.writeHead(204).end();
  else answerLast(response, problem.status, problem.text);
}

/** False when it is not, which is answered. */
function isCompatible(
  { context }: Transport,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const { memberId, clusterId, log } = context;
  const remote = remoteVersions(request.headers);
  if (remote === null) {
    // etcd's handler panics there.
    cut(request);
    return false;
  }
  const fields = {
    'local-member-id': hexId(memberId),
    'local-member-cluster-id': hexId(clusterId),
    'local-member-server-version': context.serverVersion,
    'local-member-server-minimum-cluster-version': context.minClusterVersion,
    'remote-peer-server-name': headerOf(request.headers, 'x-server-from'),
    'remote-peer-server-version': headerOf(request.headers, 'x-server-version'),
    'remote-peer-server-minimum-cluster-version': headerOf(
      request.headers,
      'x-min-cluster-version',
    ),
  };
  const problem = versionProblem(context, remote);
  if (problem !== null) {
    log.warn('failed version compatibility check', { ...fields, error: problem });
    answerError(response, 412, INCOMPATIBLE_VERSION);
    return false;
  }
  const cluster = headerOf(request.headers, 'x-etcd-cluster-id');
  if (cluster === hexId(clusterId)) return true;
  log.warn('request cluster ID mismatch', { ...fields, 'remote-peer-cluster-id': cluster });
  answerError(response, 412, CLUSTER_ID_MISMATCH);
  return false;
}

/** False when the sender names URLs that are none: etcd's handler panics there. */
function addRemoteFrom(transport: Transport, request: IncomingMessage): boolean {
  const from = headerOf(request.headers, 'x-server-from');
  const urls = headerOf(request.headers, 'x-peerurls');
  return urls === '' || addRemote(transport, from, urls);
}

function addRemote(transport: Transport, from: string, text: string): boolean {
  const id = parseHexId(from);
  if (id === null) return true;
  const urls = text.split(',');
  if (!arePeerUrls(urls)) return false;
  transport.addRemote(id, urls);
  return true;
}

function cut(request: IncomingMessage): void {
  request.socket.destroy();
}
