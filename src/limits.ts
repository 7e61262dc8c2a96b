/**
 * Every maximum of the member, with its unit. What etcd makes a flag is a flag (see `config.ts`);
 * everything else that could grow is bounded here.
 */

import { assert } from './assert.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export const limits = {
  /** etcd: committed minus applied beyond which proposals are refused. */
  applyBacklogEntriesMax: 5000,
  /** Bytes of the name of a user or role: bbolt's longest key. */
  authNameBytesMax: 32_768,
  /** Proposals waiting for a leader to take them. */
  proposalsQueuedMax: 20_000,
  /** Bytes of committed entries handed to apply in one turn. */
  applyBytesPerTurnMax: 1 * MIB,
  /** Bytes of entries in one append message (etcd: maxSizePerMsg). */
  appendBytesMax: 1 * MIB,
  /** Append messages in flight to one follower (etcd: maxInflightMsgs). */
  appendsInflightMax: 512,
  /** Bytes of entries in flight to one follower; the append that crosses it is still sent. */
  appendsInflightBytesMax: 64 * MIB,
  /** Bytes of proposals a leader keeps uncommitted before it refuses more. */
  uncommittedBytesMax: 256 * MIB,
  /** Terms and indexes that other members may name; beyond it nobody can have counted. */
  raftNumberMax: 2 ** 52,
  /** Linearizable reads that wait for a quorum on the leader; beyond it they are dropped. */
  readsPendingMax: 10_000,
  /** etcd: bytes of gRPC overhead allowed beyond --max-request-bytes. */
  grpcOverheadBytes: 512 * KIB,
  /** Staged rows that trigger a flush (etcd: backend batch limit). */
  stagedRowsFlush: 10_000,
  /** Staged bytes that trigger a flush. */
  stagedBytesFlush: 16 * MIB,
  /** Staged bytes beyond which proposals are refused until a flush has caught up. */
  stagedBytesMax: 256 * MIB,
  /** Clean rows kept in memory for reads. */
  rowCacheBytes: 32 * MIB,
  /** LevelDB's cache of blocks; the rows above it have a cache of their own. */
  engineBlockCacheBytes: 8 * MIB,
  /** LevelDB's write buffer, of which there may be two. */
  engineWriteBufferBytes: 4 * MIB,
  /** Rows of a state that was replaced that are deleted in one step. */
  rowsDroppedPerStep: 1000,
  /** Deleted rows after which LevelDB is told to give their space back. */
  rowsDroppedPerCompaction: 65_536,
  /** Milliseconds between flushes when little is staged (etcd: backend batch interval). */
  flushIntervalMs: 100,
  /** Bytes of one WAL segment (etcd: SegmentSizeBytes). */
  walSegmentBytes: 64_000_000,
  /** Bytes of zeros written ahead of the WAL's head in one go, so that appends find space. */
  walReserveBytes: 1 * MIB,
  /** Bytes of a WAL append's buffer kept for the next one. */
  walBufferBytesKept: 4 * MIB,
  /** Largest WAL append, bytes, that may be synced in the event loop instead of the thread pool. */
  walLoopSyncBytesMax: 64 * KIB,
  /** Milliseconds that a sync may take on average for the event loop to be held up by one. */
  walLoopSyncMsMax: 0.5,
  /** Largest lease TTL, seconds. */
  leaseTtlSecondsMax: 9_000_000_000,
  /** Leases revoked by expiry in one check, which runs every 500 ms. */
  leaseExpiriesPerCheckMax: 500,
  /** Leases from which on a promotion spreads their expiries (etcd: the revoke rate). */
  leasesSpreadMin: 1000,
  /** Leases that expire per second after a promotion has spread them. */
  leaseSpreadPerSecond: 750,
  /** Expiry revocations in flight. */
  leaseRevokesInflightMax: 16,
  /** etcd: leases whose remaining time one entry of the log tells. */
  leaseCheckpointsPerEntryMax: 1000,
  /** Responses buffered for one watch stream before its watchers fall to catching up. */
  watchResponsesBufferedMax: 128,
  /** Bytes buffered for one watch stream before its watchers fall to catching up. */
  watchBytesBufferedMax: 4 * MIB,
  /** Distinct revisions in one catch-up response. */
  watchCatchUpRevisionsMax: 1000,
  /** Bytes of history after which one catch-up read stops at the next revision. */
  watchCatchUpBytesMax: 4 * MIB,
  /** Bytes of recent events kept for watchers that lag a little. */
  watchRecentBytesMax: 8 * MIB,
  /** Bytes of answers buffered for one stream before its producer waits. */
  streamBufferedBytesMax: 4 * MIB,
  /** Keep-alive requests of one stream waiting for their answer. */
  keepAlivesQueuedMax: 10_000,
  /** Requests of one watch stream that wait until it is known who asks. */
  watchRequestsHeldMax: 1000,
  /** Watches on one stream. */
  watchesPerStreamMax: 100_000,
  /** Keys read before a long read yields to the event loop. */
  keysPerSliceMax: 1000,
  /** Hashes of the last compactions kept for HashKV (etcd: hashStorageMaxSize). */
  compactionHashesMax: 10,
  /** Rows read from the engine in one step of a long scan. */
  scanPageRowsMax: 2000,
  /** Bytes that one step of a long scan aims at. */
  scanPageBytes: 1 * MIB,
  /** Snapshots sent to clients at once. */
  snapshotsMax: 4,
  /** Hashes over the whole database asked for at once; each reads all of it. */
  hashesMax: 16,
  /** etcd: whole states on their way to other members at once. */
  statesSentMax: 16,
  /** Messages from other members waiting for the next turn; Raft survives the loss of more. */
  messagesQueuedMax: 10_000,
  /** etcd: messages waiting for one stream to another member. */
  peerStreamQueueMax: 4096,
  /** Bytes of messages waiting for one stream; the one that crosses it is still taken. */
  peerStreamQueueBytesMax: 128 * MIB,
  /** Bytes that one write to a stream aims at. */
  peerWriteBytes: 256 * KIB,
  /** Bytes in the socket of a stream beyond which messages wait in their queue. */
  peerSocketBytesMax: 1 * MIB,
  /** etcd: messages waiting to be posted to one member, and posts under way. */
  peerPipelineQueueMax: 64,
  peerPipelinePostsMax: 4,
  /** Bytes of messages waiting to be posted; the one that crosses it is still taken. */
  peerPipelineQueueBytesMax: 64 * MIB,
  /** etcd: bytes of one frame of a stream from another member. */
  peerFrameBytesMax: 512 * MIB,
  /** Entries in one frame of a stream. */
  peerFrameEntriesMax: 1_000_000,
  /** Bytes of one message that another member posts. */
  peerPostBytesMax: 64 * MIB,
  /** Bytes of what other members post that have not been used, of all connections. */
  peerPostsBytesMax: 512 * MIB,
  /** etcd: bytes of the message before a state. */
  peerSnapshotMessageBytesMax: 64 * MIB,
  /** Bytes per second of one state on its way to another member. */
  peerSnapshotBytesPerSecondMax: 256 * MIB,
  /** Milliseconds for which another member may take nothing of a state. */
  peerSnapshotStallMsMax: 30_000,
  /** etcd: milliseconds until another member says whether it has taken a state. */
  peerSnapshotAnswerMsMax: 300_000,
  /** Bytes of an answer that only says whether, or why not. */
  peerRefusalBytesMax: 64 * KIB,
  /** etcd: bytes of a request about a lease, and of an answer with its keys. */
  peerRequestBytesMax: 64 * KIB,
  peerAnswerBytesMax: 100 * MIB,
  /** Bytes of one answer of the discovery service. */
  discoveryAnswerBytesMax: 4 * MIB,
  /** Members that write to this one before it has heard that they are. */
  peerRemotesMax: 64,
  /** Bytes of a received state that are loaded before other work runs. */
  snapshotSliceBytes: 64 * KIB,
  /** Milliseconds for which a snapshot to a client works before it rests as long. */
  snapshotWorkMs: 5,
  /** Bytes of a snapshot that wait for the network before it holds back. */
  snapshotBufferedBytesMax: 1 * MIB,
  /** Bytes of a received state that wait to be synced. */
  stateUnsyncedBytesMax: 16 * MIB,
  /** Bytes read at once from the file of a received state. */
  stateWindowBytes: 512 * KIB,
  /** Bytes of a received state that are loaded with one synced batch. */
  stateBatchBytes: 4 * MIB,
  /** Members, present and removed, that are read back at start. */
  membersMax: 10_000,
  /** Alarms that are read back at start: two per member. */
  alarmsMax: 20_000,
  /** Nesting of Txn inside Txn; --max-txn-ops bounds it too, this bounds recursion. */
  txnDepthMax: 128,
  /** Bytes of one JSON request body beyond --max-request-bytes (base64 grows by a third). */
  jsonOverheadBytes: 1 * MIB,
  /** Simple tokens remembered at once, some 200 bytes each; the longest unused make room. */
  simpleTokensMax: 250_000,
  /** Signed tokens whose signature need not be checked again, some 1 KiB each. */
  signedTokensKnownMax: 10_000,
  /** Passwords hashed or compared at once, each on a thread of the pool that syncs the log. */
  passwordsAtOnce: 2,
  /** Passwords that wait for their turn, at some 50 ms each with the default cost. */
  passwordsQueuedMax: 1000,
  /** Characters of a request in the audit log; of a longer one only its size is told. */
  auditRequestBytesMax: 16 * KIB,
  /** MiB of one file of the audit log, and files put aside that are kept. */
  auditFileMibMax: 100,
  auditFilesMax: 20,
  /** Users and addresses whose rates of requests are counted apart. */
  userBudgetsMax: 10_000,
  /** Connections of clients; less where the process may not have so many descriptors. */
  connectionsMax: 20_000,
  /** Connections of other members, on all peer URLs. */
  peerConnectionsMax: 1000,
  /** Descriptors that clients never get: for other members, the log and the database. */
  descriptorsReserved: 2048,
  /** Bytes of requests that have not arrived as a whole, of all clients. */
  incompleteRequestBytesMax: 512 * MIB,
  /** Bytes of answers that wait for their clients, of all connections. */
  waitingAnswerBytesMax: 1024 * MIB,
  /** Frames in which one WebSocket message may come. */
  webSocketFragmentsMax: 10_000,
  /** Connections accepted before the member is ready. */
  connectionsWaitingMax: 10_000,
  /** etcd: milliseconds that a TLS handshake may take. */
  tlsHandshakeMsMax: 10_000,
  /** TLS handshakes under way on the listeners of one side; beyond it the oldest is given up. */
  tlsHandshakesMax: 2000,
  /** Milliseconds for which a member that stops lets requests finish that are under way. */
  closeGraceMs: 1000,
  /** etcd: milliseconds that a client may take to send the head of an HTTP request. */
  httpHeadersTimeoutMs: 300_000,
  /** Bytes of the head of an HTTP request. */
  httpHeaderBytesMax: 256 * KIB,
  /** Calls open on one connection, however many --max-concurrent-streams allows. */
  h2StreamsMax: 200_000,
  /** HTTP/2 credit of one stream for request bytes. */
  h2StreamWindowBytes: 1 * MIB,
  /** HTTP/2 credit of a connection for request bytes of all its streams. */
  h2ConnectionWindowBytes: 16 * MIB,
  /** Bytes in a socket beyond which answers wait in their calls. */
  h2SendBufferBytesMax: 1 * MIB,
  /** Bytes in a socket beyond which nothing more is read from its peer. */
  h2UnreadBytesMax: 2 * MIB,
  /** Bytes of answers waiting on one connection; the one that crosses it is still taken. */
  h2QueuedBytesMax: 256 * MIB,
  /** Bytes of memory for request messages that are not complete, on one connection. */
  h2AssemblyBytesMax: 64 * MIB,
  /** Bytes of one compressed header block. */
  h2HeaderBlockBytesMax: 64 * KIB,
  /** CONTINUATION frames of one header block. */
  h2ContinuationsMax: 16,
  /** Streams reset by a client (or for its faults) and settings changed, at once and per second. */
  h2ResetsBurstMax: 10_000,
  h2ResetsPerSecondMax: 1000,
  /** etcd: milliseconds until an accepted connection must have begun to speak HTTP/2. */
  h2EstablishTimeoutMs: 120_000,
  /** Milliseconds between the first and the last GOAWAY of a graceful end. */
  h2DrainTimeoutMs: 5000,
  /** Milliseconds that a closing connection may take to send its last bytes. */
  h2LingerMs: 1000,
  /** Spans that wait for the collector; more are not exported. */
  tracedSpansMax: 2048,
  /** Requests of one traced stream that have spans of their own at once. */
  tracedWorksMax: 128,
  /** Bytes of request metadata on one call. */
  headerBytesMax: 16 * KIB,
} as const;

assert(
  limits.stagedBytesFlush < limits.stagedBytesMax,
  'a flush starts before proposals are refused',
);
assert(
  limits.appendsInflightBytesMax <= limits.peerStreamQueueBytesMax,
  'the appends in flight to a follower fit into the queue of its stream',
);
assert(limits.appendBytesMax <= limits.stagedBytesFlush, 'one append fits between two flushes');
