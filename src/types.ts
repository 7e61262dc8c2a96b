/**
 * The vocabulary shared by every layer. Rule of thumb: things we count are `number`, things we
 * were given are `bigint`, things we order by bytes are latin1 strings.
 *
 * Raft indexes, terms, revisions and versions stay far below 2^53 (one million increments a second
 * reach it in 285 years), so they are plain numbers. Member, cluster and lease ids are hashes or
 * client-chosen 64-bit values, so they are exact bigints.
 */

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** A key as a latin1 ("binary") string: one character per byte, so `<` orders just as bytes do. */
export type Key = Brand<string, 'Key'>;
/** The key of a stored row: one bucket character followed by the key inside the bucket, latin1. */
export type RowKey = Brand<string, 'RowKey'>;
export type MemberId = Brand<bigint, 'MemberId'>;
export type ClusterId = Brand<bigint, 'ClusterId'>;
export type LeaseId = Brand<bigint, 'LeaseId'>;

/** Position in the Raft log, from 1. */
export type Index = number;
export type Term = number;
/** Main revision of the store; an empty store is at 1. */
export type Revision = number;

/** "No lease": what protobuf calls 0. */
export const NO_LEASE = 0n as LeaseId;
export const EMPTY_KEY = '' as Key;
export const EMPTY_BYTES: Uint8Array = new Uint8Array(0);

/** The only way from bytes to a `Key`. */
export function keyFromBytes(bytes: Uint8Array): Key {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as Key;
}

/** A `Key` from text, encoded as UTF-8. */
export function keyFromText(text: string): Key {
  return Buffer.from(text, 'utf8').toString('latin1') as Key;
}

export function bytesFromKey(key: Key | RowKey): Buffer {
  return Buffer.from(key, 'latin1');
}

/** Ids in logs, metrics and paths: lower-case hex without padding, as etcd prints them. */
export function hexId(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16);
}
