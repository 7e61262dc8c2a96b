/**
 * Users and roles as rows, and in memory as they are written there: etcd's buckets `authUsers` and
 * `authRoles`, where the key is the name and the value the encoded message.
 *
 * It knows names and bytes; what may be changed, and when, is the store's matter.
 */

import { type Bucket, buckets, keyInBucket, rowKey } from '../buckets.ts';
import {
  decodeRole,
  decodeUser,
  encodeRole,
  encodeUser,
  type Role,
  type User,
} from '../codec/gen/authpb.ts';
import { decode, encode, type Reader, type Writer } from '../codec/wire.ts';
import type { Row, Rows } from '../ports.ts';
import { EMPTY_BYTES, type Key, keyFromBytes, keyFromText } from '../types.ts';

interface Named {
  readonly name: Uint8Array;
}

/** In the order of the bytes of their names. */
export class AuthTable<T extends Named> {
  readonly #rows: Rows;
  readonly #bucket: Bucket;
  readonly #decode: (r: Reader) => T;
  readonly #encode: (w: Writer, entry: T) => void;
  #entries = new Map<Key, T>();

  private constructor(
    rows: Rows,
    bucket: Bucket,
    decode: (r: Reader) => T,
    encode: (w: Writer, entry: T) => void,
  ) {
    this.#rows = rows;
    this.#bucket = bucket;
    this.#decode = decode;
    this.#encode = encode;
  }

  static users(rows: Rows): AuthTable<User> {
    return new AuthTable(rows, buckets.authUsers, decodeUser, encodeUser);
  }

  static roles(rows: Rows): AuthTable<Role> {
    return new AuthTable(rows, buckets.authRoles, decodeRole, encodeRole);
  }

  get bucket(): Bucket {
    return this.#bucket;
  }

  load(rows: readonly Row[]): void {
    for (const { key, value } of rows) {
      this.#entries.set(keyInBucket(key) as Key, decode(this.#decode, value));
    }
  }

  adopt(other: AuthTable<T>): void {
    this.#entries = other.#entries;
  }

  get(name: string): T | null {
    return this.#entries.get(keyFromText(name)) ?? null;
  }

  put(entry: T): void {
    const key = keyFromBytes(entry.name);
    this.#entries.set(key, entry);
    this.#rows.put(rowKey(this.#bucket, key), encode(this.#encode, entry));
  }

  delete(name: string): void {
    const key = keyFromText(name);
    if (this.#entries.delete(key)) this.#rows.delete(rowKey(this.#bucket, key));
  }

  all(): readonly T[] {
    return [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  }

  names(): readonly string[] {
    return this.all().map(({ name }) => Buffer.from(name).toString('utf8'));
  }
}

/** Text in the order of its bytes in UTF-8, which is not that of JavaScript. */
export function byBytes(a: string, b: string): number {
  const [left, right] = [keyFromText(a), keyFromText(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** A user without password, roles and options. */
export function newUser(name: string): User {
  return { name: Buffer.from(name), password: EMPTY_BYTES, roles: [], options: null };
}
