/**
 * Maintenance.Snapshot: the state of this member as a bbolt file, the form in which etcd and its
 * tools take it, followed by its SHA-256. It holds back when the network does, and rests as long as
 * it works: a backup may take longer, those who write meanwhile should not.
 */

import { createHash } from 'node:crypto';
import type { SnapshotRequest, SnapshotResponse } from '../codec/gen/etcdserverpb.ts';
import { errors } from '../errors.ts';
import { limits } from '../limits.ts';
import { pause } from '../pause.ts';
import type { Clock, Engine } from '../ports.ts';
import type { Replica } from '../replica/replica.ts';
import { openImage } from '../replica/state-image.ts';
import type { StateMachine } from '../replica/state-machine.ts';
import { type Caller, drained, endWith, type Output } from './rpc.ts';

export interface SnapshotDeps {
  readonly replica: Pick<Replica, 'flush' | 'stopping'> & {
    readonly stateMachine: Pick<StateMachine, 'clusterVersion'>;
  };
  readonly engine: Engine;
  readonly breathe: () => Promise<void>;
  readonly observer: { snapshotSent(seconds: number): void };
  readonly clock: Pick<Clock, 'monotonic' | 'every'>;
  readonly onFatal: (error: unknown) => void;
}

type SnapshotStream = (
  request: SnapshotRequest,
  caller: Caller,
  output: Output<SnapshotResponse>,
) => void;

export function createSnapshot(deps: SnapshotDeps): SnapshotStream {
  let running = 0;
  return (_request, caller, output) => {
    // Each one keeps the space of rows that are deleted meanwhile.
    if (running >= limits.snapshotsMax) throw errors.tooManyRequests;
    running++;
    streamSnapshot(deps, caller, output)
      .finally(() => {
        running--;
      })
      .then(() => output.end(null), endWith(output, deps.onFatal));
  };
}

async function streamSnapshot(
  deps: SnapshotDeps,
  caller: Caller,
  output: Output<SnapshotResponse>,
): Promise<void> {
  const { replica, engine, clock } = deps;
  const { snapshotBufferedBytesMax, snapshotWorkMs } = limits;
  let workingSince = clock.monotonic();
  const pace = async (): Promise<void> => {
    const worked = clock.monotonic() - workingSince;
    const isAhead = output.bufferedBytes > snapshotBufferedBytesMax;
    if (isAhead) await drained(output, caller);
    else if (worked >= snapshotWorkMs) await pause(clock, worked, replica.stopping);
    else await deps.breathe();
    if (isAhead || worked >= snapshotWorkMs) workingSince = clock.monotonic();
    if (caller.cancelled) throw errors.contextCanceled;
    if (replica.stopping.aborted) throw errors.stopped;
  };
  await replica.flush();
  await pace();
  const version = replica.stateMachine.clusterVersion;
  const started = clock.monotonic();
  const image = await openImage(engine, pace);
  try {
    const hash = createHash('sha256');
    let remainingBytes = image.bytes;
    const send = (blob: Uint8Array): void =>
      output.send({ header: null, remainingBytes, blob, version });
    for await (const blob of image.read()) {
      hash.update(blob);
      remainingBytes -= blob.length;
      send(blob);
    }
    send(hash.digest());
    deps.observer.snapshotSent((clock.monotonic() - started) / 1000);
  } finally {
    await image.close();
  }
}
