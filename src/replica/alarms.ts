/**
 * The replicated set of alarms. Any NOSPACE or CORRUPT entry of any member affects all members.
 * Rows are etcd's `alarm` bucket: the key is the encoded `AlarmMember`, the value is empty.
 */

import { bucketRange, buckets, keyInBucket, rowKey } from '../buckets.ts';
import {
  AlarmAction,
  type AlarmMember,
  type AlarmRequest,
  AlarmType,
  decodeAlarmMember,
  encodeAlarmMember,
} from '../codec/gen/etcdserverpb.ts';
import { decode, encode } from '../codec/wire.ts';
import { limits } from '../limits.ts';
import type { Rows } from '../ports.ts';
import { EMPTY_BYTES, keyFromBytes, type RowKey } from '../types.ts';

function rowOf(alarm: AlarmMember): RowKey {
  return rowKey(buckets.alarm, keyFromBytes(encode(encodeAlarmMember, alarm)));
}

export class Alarms {
  readonly #rows: Rows;
  readonly #alarms = new Map<RowKey, AlarmMember>();

  private constructor(rows: Rows) {
    this.#rows = rows;
  }

  static async open(rows: Rows): Promise<Alarms> {
    const alarms = new Alarms(rows);
    for (const row of await rows.scan({ ...bucketRange(buckets.alarm), limit: limits.alarmsMax })) {
      alarms.#alarms.set(
        row.key,
        decode(decodeAlarmMember, Buffer.from(keyInBucket(row.key), 'latin1')),
      );
    }
    return alarms;
  }

  /** Takes over what another table says. */
  adopt(other: Alarms): void {
    this.#alarms.clear();
    for (const [row, alarm] of other.#alarms) this.#alarms.set(row, alarm);
  }

  list(type: number = AlarmType.NONE): readonly AlarmMember[] {
    const all = [...this.#alarms.values()];
    return type === AlarmType.NONE ? all : all.filter((entry) => entry.alarm === type);
  }

  has(type: number): boolean {
    for (const entry of this.#alarms.values()) if (entry.alarm === type) return true;
    return false;
  }

  /** Applies an `AlarmRequest`; the answer lists the alarms that it concerned. */
  apply(request: AlarmRequest): readonly AlarmMember[] {
    const entry: AlarmMember = { memberId: request.memberId, alarm: request.alarm };
    const row = rowOf(entry);
    switch (request.action) {
      case AlarmAction.GET:
        return this.list(request.alarm);
      case AlarmAction.ACTIVATE:
        if (request.alarm === AlarmType.NONE) return [];
        if (!this.#alarms.has(row)) {
          this.#alarms.set(row, entry);
          this.#rows.put(row, EMPTY_BYTES);
        }
        return [entry];
      case AlarmAction.DEACTIVATE:
        if (!this.#alarms.delete(row)) return [];
        this.#rows.delete(row);
        return [entry];
      default:
        return [];
    }
  }
}
