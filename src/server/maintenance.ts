/** The Maintenance service: state, alarms, hashes and defragmentation of this member. */

import {
  AlarmAction,
  type AlarmRequest,
  type AlarmResponse,
  AlarmType,
  type DefragmentResponse,
  decodeAlarmRequest,
  decodeDefragmentRequest,
  decodeDowngradeRequest,
  decodeHashKVRequest,
  decodeHashRequest,
  decodeMoveLeaderRequest,
  decodeSnapshotRequest,
  decodeStatusRequest,
  encodeAlarmResponse,
  encodeDefragmentResponse,
  encodeDowngradeResponse,
  encodeHashKVResponse,
  encodeHashResponse,
  encodeMoveLeaderResponse,
  encodeSnapshotResponse,
  encodeStatusResponse,
  type HashKVRequest,
  type HashKVResponse,
  type HashResponse,
  type MoveLeaderRequest,
  type MoveLeaderResponse,
  type ResponseHeader,
  type StatusResponse,
} from '../codec/gen/etcdserverpb.ts';
import { Code, EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Log } from '../log.ts';
import type { Clock, Engine } from '../ports.ts';
import type { Replica } from '../replica/replica.ts';
import type { MemberId, Revision } from '../types.ts';
import { SERVER_VERSION } from '../version.ts';
import { type Access, forAdmins } from './access.ts';
import { hashDatabase } from './database-hash.ts';
import type { Defragmentation } from './defragmentation.ts';
import { createDowngrade } from './downgrade.ts';
import { logServingStatus, type Serving } from './grpc-health.ts';
import type { LeaderTransfer } from './leader-transfer.ts';
import { type Method, serverStream, unary } from './rpc.ts';
import { createSnapshot } from './snapshot.ts';
import type { DatabaseSize } from './space.ts';

/** Hears of long work that has ended, and of its seconds. */
export interface MaintenanceObserver {
  hashed(seconds: number): void;
  revisionHashed(seconds: number): void;
  snapshotSent(seconds: number): void;
}

export interface MaintenanceDeps {
  readonly replica: Replica;
  readonly engine: Engine;
  readonly size: DatabaseSize;
  /** As it is told to clients. */
  readonly quotaBytes: number;
  readonly defragmentation: Defragmentation;
  readonly serving: Serving;
  /** Whether the member says that it does not serve while it is defragmented. */
  readonly stopsForDefragmentation: boolean;
  readonly leaderTransfer: LeaderTransfer;
  readonly log: Log;
  readonly header: (revision: Revision) => ResponseHeader;
  readonly breathe: () => Promise<void>;
  readonly observer: MaintenanceObserver;
  readonly clock: Pick<Clock, 'monotonic' | 'every'>;
  readonly onFatal: (error: unknown) => void;
}

const ALARM_NAMES: Readonly<Record<number, string>> = {
  [AlarmType.NOSPACE]: 'NOSPACE',
  [AlarmType.CORRUPT]: 'CORRUPT',
};

export type Maintenance = ReturnType<typeof createMaintenance>;

export function createMaintenance(deps: MaintenanceDeps) {
  const { replica, size } = deps;
  const { store, alarms } = replica.stateMachine;
  const header = (): ResponseHeader => deps.header(store.revision);
  let hashes = 0;
  const hashing = async <T>(
    work: () => Promise<T>,
    ended: (seconds: number) => void,
  ): Promise<T> => {
    if (hashes >= limits.hashesMax) throw errors.tooManyRequests;
    hashes++;
    const started = deps.clock.monotonic();
    try {
      const result = await work();
      ended((deps.clock.monotonic() - started) / 1000);
      return result;
    } finally {
      hashes--;
    }
  };
  return {
    async alarm(request: AlarmRequest): Promise<AlarmResponse> {
      const { GET, ACTIVATE, DEACTIVATE } = AlarmAction;
      if (![GET, ACTIVATE, DEACTIVATE].some((action) => action === request.action)) {
        throw new EtcdError(Code.INVALID_ARGUMENT, 'etcdserver: unknown alarm action');
      }
      const outcome = await replica.propose('alarm', request);
      return { header: header(), alarms: outcome.alarms };
    },

    status(): StatusResponse {
      const told: string[] = [];
      if (replica.lead === null) told.push(errors.noLeader.message);
      for (const { memberId, alarm } of alarms.list()) {
        told.push(`memberID:${memberId} alarm:${ALARM_NAMES[alarm] ?? alarm}`);
      }
      const self = replica.stateMachine.members.get(replica.memberId);
      return {
        header: header(),
        version: SERVER_VERSION,
        dbSize: size.total,
        leader: replica.lead ?? (0n as MemberId),
        raftIndex: replica.commit,
        raftTerm: replica.term,
        raftAppliedIndex: replica.applied,
        errors: told,
        dbSizeInUse: size.inUse,
        isLearner: self?.isLearner ?? false,
        // The storage version follows the cluster's.
        storageVersion: replica.stateMachine.clusterVersion,
        dbSizeQuota: deps.quotaBytes,
        downgradeInfo: replica.stateMachine.downgradeInfo,
      };
    },

    async hash(): Promise<HashResponse> {
      await replica.flush();
      const hash = await hashing(
        () => hashDatabase(deps.engine, deps.breathe),
        deps.observer.hashed,
      );
      return { header: header(), hash };
    },

    async hashKv({ revision }: HashKVRequest): Promise<HashKVResponse> {
      const result = await hashing(() => store.hashKv(revision), deps.observer.revisionHashed);
      if (result instanceof EtcdError) throw result;
      const { hash, compactRevision, hashRevision } = result;
      return { header: header(), hash, compactRevision, hashRevision };
    },

    /** Gives space back while everything goes on. */
    async defragment(): Promise<DefragmentResponse> {
      const { log, defragmentation, serving } = deps;
      log.info('starting defragment');
      if (deps.stopsForDefragmentation) {
        logServingStatus(log, 'NOT_SERVING', 'defrag is active');
        serving.set(false);
      }
      try {
        await defragmentation.run(() => replica.flush());
        log.info('finished defragment');
      } catch (error) {
        log.warn('failed to defragment', { error: String(error) });
        throw error;
      } finally {
        logServingStatus(log, 'SERVING');
        serving.set(true);
      }
      return { header: null };
    },

    /** etcd: the answer has no header. */
    async moveLeader({ targetId }: MoveLeaderRequest): Promise<MoveLeaderResponse> {
      await deps.leaderTransfer.moveLeader(targetId);
      return { header: null };
    },

    downgrade: createDowngrade({ replica, header, log: deps.log }),

    snapshot: createSnapshot(deps),
  };
}

/** Who is somebody may ask for the status and for alarms; everything else is for administrators. */
const FOR_ADMINS = ['Defragment', 'Hash', 'HashKV', 'Snapshot', 'MoveLeader', 'Downgrade'];

export function maintenanceMethods(
  maintenance: Maintenance,
  access: Access,
  onFatal: (error: unknown) => void,
): readonly Method[] {
  return uncheckedMethods(maintenance, access).map((method) =>
    FOR_ADMINS.includes(method.name) ? forAdmins(access, method, onFatal) : method,
  );
}

function uncheckedMethods(maintenance: Maintenance, access: Access): readonly Method[] {
  const service = 'etcdserverpb.Maintenance';
  return [
    unary(
      service,
      'Alarm',
      { decode: decodeAlarmRequest, encode: encodeAlarmResponse },
      async (request, caller) => {
        if (request.action === AlarmAction.GET) await access.known(caller);
        else await access.admin(caller);
        return maintenance.alarm(request);
      },
    ),
    unary(
      service,
      'Status',
      { decode: decodeStatusRequest, encode: encodeStatusResponse },
      async (_request, caller) => {
        await access.known(caller);
        return maintenance.status();
      },
    ),
    unary(
      service,
      'Defragment',
      { decode: decodeDefragmentRequest, encode: encodeDefragmentResponse },
      maintenance.defragment,
    ),
    unary(
      service,
      'Hash',
      { decode: decodeHashRequest, encode: encodeHashResponse },
      maintenance.hash,
    ),
    unary(
      service,
      'HashKV',
      { decode: decodeHashKVRequest, encode: encodeHashKVResponse },
      maintenance.hashKv,
    ),
    serverStream(
      service,
      'Snapshot',
      { decode: decodeSnapshotRequest, encode: encodeSnapshotResponse },
      maintenance.snapshot,
    ),
    unary(
      service,
      'MoveLeader',
      { decode: decodeMoveLeaderRequest, encode: encodeMoveLeaderResponse },
      maintenance.moveLeader,
    ),
    unary(
      service,
      'Downgrade',
      { decode: decodeDowngradeRequest, encode: encodeDowngradeResponse },
      maintenance.downgrade,
    ),
  ];
}
