/**
 * Requests as etcd prints them into log lines: protobuf's text, with passwords left out and values
 * replaced by their sizes.
 */

import { EMPTY_BYTES } from '../types.ts';
import {
  type Compare,
  decodeInternalRaftRequest,
  encodeCompare,
  encodeInternalRaftRequest,
  encodeRequestHeader,
  encodeRequestOp,
  type InternalRaftRequest,
  type PutRequest,
  type RequestOp,
  type TxnRequest,
} from './gen/etcdserverpb.ts';
import { enumName, textFromWire } from './text.ts';
import { decode, encode } from './wire.ts';

/** The text of an entry's `InternalRaftRequest`, given as its bytes. */
export function raftRequestText(bytes: Uint8Array): string {
  const { id, header, request } = decode(decodeInternalRaftRequest, bytes);
  const head = textFromWire(
    'etcdserverpb.RequestHeader',
    header === null ? EMPTY_BYTES : encode(encodeRequestHeader, header),
  );
  const text = request === null ? null : redacted(request);
  if (text !== null) return `header:<${head}> ${text}`;
  // The header is declared first, whatever its number is.
  const rest = encode(encodeInternalRaftRequest, { id, header: null, request });
  return `header:{${head}} ${textFromWire('etcdserverpb.InternalRaftRequest', rest)}`;
}

/** `null`: there is nothing to hide in it. */
function redacted(request: NonNullable<InternalRaftRequest['request']>): string | null {
  switch (request.case) {
    case 'leaseGrant':
      return `lease_grant:<ttl:${request.value.ttl}-second id:${hex16(request.value.id)}>`;
    case 'leaseRevoke':
      return `lease_revoke:<id:${hex16(request.value.id)}>`;
    case 'authenticate':
      return `authenticate:<name:${request.value.name} simple_token:${request.value.simpleToken}>`;
    case 'authUserAdd':
      return `auth_user_add:<name:${request.value.name}>`;
    case 'authUserChangePassword':
      return `auth_user_change_password:<name:${request.value.name}>`;
    case 'put':
      return `put:<${putText(request.value)}>`;
    case 'txn':
      return `txn:<${txnText(request.value)}>`;
    default:
      return null;
  }
}

/** etcd: ends with a blank, unless it is empty. */
export function putText(put: PutRequest): string {
  const { key, value, lease, prevKv, ignoreValue, ignoreLease } = put;
  let text = key === '' ? '' : `key:${octal(key)} `;
  if (value.length > 0) text += `value_size:${value.length} `;
  if (lease !== 0n) text += `lease:${lease} `;
  if (prevKv) text += 'prev_kv:true ';
  if (ignoreValue) text += 'ignore_value:true ';
  if (ignoreLease) text += 'ignore_lease:true ';
  return text;
}

export function txnText({ compare, success, failure }: TxnRequest): string {
  const [compares, then, otherwise] = [
    compare.map(compareText),
    success.map(operationText),
    failure.map(operationText),
  ].map((texts) => texts.join(' '));
  return `compare:<${compares}> success:<${then}> failure:<${otherwise}>`;
}

function operationText(operation: RequestOp): string {
  const { request } = operation;
  if (request?.case === 'requestPut') return `request_put:<${putText(request.value)}>`;
  if (request?.case === 'requestTxn') return `request_txn:<${txnText(request.value)}>`;
  return textFromWire('etcdserverpb.RequestOp', encode(encodeRequestOp, operation));
}

function compareText(compare: Compare): string {
  const { result, target, key, rangeEnd, targetUnion } = compare;
  if (targetUnion?.case !== 'value') {
    return textFromWire('etcdserverpb.Compare', encode(encodeCompare, compare));
  }
  const name = (of: string, number: number): string =>
    enumName(`etcdserverpb.Compare.Compare${of}`, number) ?? String(number);
  let text = result === 0 ? '' : `result:${name('Result', result)} `;
  if (target !== 0) text += `target:${name('Target', target)} `;
  if (key !== '') text += `key:${octal(key)} `;
  if (targetUnion.value.length > 0) text += `value_size:${targetUnion.value.length} `;
  if (rangeEnd !== '') text += `range_end:${octal(rangeEnd)} `;
  return text;
}

function hex16(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16).padStart(16, '0');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '"': '\\"',
  '\\': '\\\\',
};

/** The escapes of Go's older text form; `bytes` is a latin1 string. */
function octal(bytes: string): string {
  const escaped = bytes.replace(
    /["\\]|[^ -~]/g,
    (byte) => ESCAPES[byte] ?? `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
  return `"${escaped}"`;
}
