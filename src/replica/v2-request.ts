/**
 * The second form of a log entry: a bare `etcdserverpb.Request` of etcd's v2 store. Leaders up to
 * 3.5 publish members and set the cluster version with it, and 3.4 understands no other form.
 *
 * Invariant: an entry is of exactly one form. A v2 request begins with its id, and its second field
 * is the name of a method; in an `InternalRaftRequest` that field would be a nested v2 request,
 * which no etcd of 3.x has ever written.
 */

import { DecodeError, decode, encode, type Reader, type Writer } from '../codec/wire.ts';
import { hexId, type MemberId } from '../types.ts';
import { goJson } from './members.ts';
import type { Command, CommandOf } from './outcome.ts';

export interface V2Request {
  readonly id: bigint;
  readonly method: string;
  readonly path: string;
  readonly value: string;
}

const TAG_ID = 0x08;
const TAG_METHOD = 0x12;
const VARINT_BYTES_MAX = 10;
const METHODS: ReadonlySet<string> = new Set(['PUT', 'POST', 'DELETE', 'QGET', 'GET', 'SYNC']);
/** Fields 5 to 16 that etcd writes although they are empty; field 4 is the value before them. */
const EMPTY_FIELDS = Buffer.from('2800320038004800500058006000680070007800800100', 'hex');

const VERSION_PATH = '/0/version';
const ATTRIBUTES_PATH = /^\/0\/members\/([0-9a-fA-F]{1,16})\/attributes$/;

/** Looks at the first bytes only. */
export function isV2Request(data: Uint8Array): boolean {
  if (data[0] !== TAG_ID) return false;
  let at = 1;
  while (at <= VARINT_BYTES_MAX && ((data[at] ?? 0) & 0x80) !== 0) at++;
  at++;
  if (data[at] !== TAG_METHOD) return false;
  const length = data[at + 1] ?? 0;
  const start = at + 2;
  return METHODS.has(Buffer.from(data.subarray(start, start + length)).toString('latin1'));
}

/** Throws `DecodeError`. */
export function decodeV2Request(data: Uint8Array): V2Request {
  return decode(readV2Request, data);
}

function readV2Request(r: Reader): V2Request {
  let id = 0n;
  const texts = { method: '', path: '', value: '' };
  while (!r.done) {
    const tag = r.tag();
    if (tag === TAG_ID) id = r.uint64Exact();
    else if (tag === TAG_METHOD) texts.method = textOf(r);
    else if (tag === 0x1a) texts.path = textOf(r);
    else if (tag === 0x22) texts.value = textOf(r);
    else r.discard(tag);
  }
  return { id, ...texts };
}

function textOf(r: Reader): string {
  return Buffer.from(r.bytes()).toString('utf8');
}

/**
 * The same as a command of today, or `null` for what concerns only the v2 store: its keys and their
 * expiry, which were never part of this state.
 */
export function commandOf({ method, path, value }: V2Request): Command | null {
  if (method !== 'PUT') return null;
  if (path === VERSION_PATH) return { case: 'clusterVersionSet', value: { ver: value } };
  const id = ATTRIBUTES_PATH.exec(path)?.[1];
  if (id === undefined) return null;
  return {
    case: 'clusterMemberAttrSet',
    value: { memberId: BigInt(`0x${id}`) as MemberId, memberAttributes: attributesOf(value) },
  };
}

/** Go matches keys without regard to case. */
function attributesOf(json: string): { name: string; clientUrls: string[] } {
  const attributes = { name: '', clientUrls: [] as string[] };
  const parsed: unknown = parseJson(json);
  if (typeof parsed !== 'object' || parsed === null) {
    throw new DecodeError('v2 request: attributes of a member are an object');
  }
  for (const [key, value] of Object.entries(parsed)) {
    if (key.toLowerCase() === 'name') attributes.name = String(value);
    if (key.toLowerCase() === 'clienturls' && Array.isArray(value)) {
      attributes.clientUrls = value.map(String);
    }
  }
  return attributes;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new DecodeError('v2 request: attributes of a member are not JSON', { cause });
  }
}

/** A member's own name and client URLs, as leaders and members up to 3.5 say it. */
export function encodeV2Attributes(
  id: bigint,
  { memberId, memberAttributes }: CommandOf<'clusterMemberAttrSet'>,
): Uint8Array {
  const { name, clientUrls } = memberAttributes ?? { name: '', clientUrls: [] };
  const parts: string[] = [];
  if (name !== '') parts.push(`"name":${goJson(name)}`);
  if (clientUrls.length > 0) parts.push(`"clientURLs":${goJson(clientUrls)}`);
  return encodePut(id, `/0/members/${hexId(memberId)}/attributes`, `{${parts.join(',')}}`);
}

export function encodeV2ClusterVersion(id: bigint, version: string): Uint8Array {
  return encodePut(id, VERSION_PATH, version);
}

function encodePut(id: bigint, path: string, value: string): Uint8Array {
  const head = encode(writePut, { id, path, value });
  return Buffer.concat([head, EMPTY_FIELDS]);
}

function writePut(w: Writer, put: Pick<V2Request, 'id' | 'path' | 'value'>): void {
  w.int64(TAG_ID);
  w.int64Exact(put.id);
  for (const [tag, text] of [
    [TAG_METHOD, 'PUT'],
    [0x1a, put.path],
    [0x22, put.value],
  ] as const) {
    w.uint32(tag);
    w.bytes(Buffer.from(text, 'utf8'));
  }
}
