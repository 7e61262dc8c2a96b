/**
 * What a user may read and write: the permissions of all its roles together.
 *
 * A permission without range end is for one key; `\x00` as range end means every key from its key
 * on. Requests say it in the same way.
 */

import { type Permission, Type } from '../codec/gen/authpb.ts';
import type { Key } from '../types.ts';
import { compareKeys, type Interval, IntervalTree } from './interval-tree.ts';

const OPEN_END = '\x00';

export type Access = 'read' | 'write';

export class UserPermissions {
  readonly #trees: Readonly<Record<Access, IntervalTree>> = {
    read: new IntervalTree(),
    write: new IntervalTree(),
  };

  add({ permType, key, rangeEnd }: Permission): void {
    const interval = rangeEnd === '' ? { from: key, to: `${key}\x00` } : intervalOf(key, rangeEnd);
    // etcd: a type that is not known permits nothing.
    if (permType === Type.READ || permType === Type.READWRITE) this.#trees.read.add(interval);
    if (permType === Type.WRITE || permType === Type.READWRITE) this.#trees.write.add(interval);
  }

  allows(access: Access, key: Key, rangeEnd: Key): boolean {
    const tree = this.#trees[access];
    return rangeEnd === '' ? tree.hasKey(key) : tree.covers(intervalOf(key, rangeEnd));
  }
}

/** Whether a permission for this range makes sense. */
export function isPermissionRange({ key, rangeEnd }: Pick<Permission, 'key' | 'rangeEnd'>) {
  if (key === '') return false;
  return rangeEnd === '' || rangeEnd === OPEN_END || compareKeys(key, rangeEnd) < 0;
}

function intervalOf(key: Key, rangeEnd: Key): Interval {
  return { from: key, to: rangeEnd === OPEN_END ? '' : rangeEnd };
}
