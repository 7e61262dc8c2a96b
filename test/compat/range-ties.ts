// etcd sorts range answers with an unstable sort, so keys that are equal in the sort target may
// come in any order, and a limit may cut any of them off. This file brings an answer into the one
// form that all permitted answers share. It works on decoded protobuf and on parsed JSON alike.
import type { Message } from './proto.ts';

const TARGET_FIELDS = ['key', 'version', 'create_revision', 'mod_revision', 'value'];
const TARGET_NAMES = ['KEY', 'VERSION', 'CREATE', 'MOD', 'VALUE'];

/** Whether the request (or, in a transaction, any part of it) sorts by something not unique. */
export function hasTies(methodName: string, request: Message): boolean {
  if (methodName === 'KV/Range') return tieField(request) !== null;
  if (methodName !== 'KV/Txn') return false;
  return [...list(request['success']), ...list(request['failure'])].some((op) => {
    const range = op['request_range'] as Message | undefined;
    const txn = op['request_txn'] as Message | undefined;
    return (
      (range !== undefined && tieField(range) !== null) ||
      (txn !== undefined && hasTies('KV/Txn', txn))
    );
  });
}

/** The answer with every tie in one fixed order. */
export function settleTies(methodName: string, request: Message, answer: Message): Message {
  if (methodName === 'KV/Range') return settleRange(request, answer);
  if (methodName !== 'KV/Txn') return answer;
  const branch = list(answer['succeeded'] === true ? request['success'] : request['failure']);
  const responses = list(answer['responses']).map((response, i) => {
    const op = branch[i] ?? {};
    const range = response['response_range'] as Message | undefined;
    const txn = response['response_txn'] as Message | undefined;
    if (range !== undefined) {
      const settled = settleRange((op['request_range'] ?? {}) as Message, range);
      return { ...response, response_range: settled };
    }
    if (txn !== undefined) {
      const nested = settleTies('KV/Txn', (op['request_txn'] ?? {}) as Message, txn);
      return { ...response, response_txn: nested };
    }
    return response;
  });
  return { ...answer, responses };
}

function settleRange(request: Message, answer: Message): Message {
  const field = tieField(request);
  const kvs = list(answer['kvs']);
  if (field === null) return answer;
  const settled: unknown[] = [];
  const rank = (kv: Message) => text(kv[field] ?? '');
  for (let start = 0, end = 0; start < kvs.length; start = end) {
    while (end < kvs.length && rank(kvs[end] ?? {}) === rank(kvs[start] ?? {})) end++;
    const group = kvs.slice(start, end);
    const cut = end === kvs.length && answer['more'] === true;
    // Of a group that the limit cut, only the number and the common value are determined.
    if (cut) settled.push({ tied: group.length, value: rank(group[0] ?? {}) });
    else settled.push(...group.sort((a, b) => (text(a['key']) < text(b['key']) ? -1 : 1)));
  }
  return { ...answer, kvs: settled };
}

function tieField(range: Message): string | null {
  const target = range['sort_target'];
  const index = typeof target === 'string' ? TARGET_NAMES.indexOf(target) : Number(target ?? 0);
  return index === 0 ? null : (TARGET_FIELDS[index] ?? null);
}

function text(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value);
}

function list(value: unknown): Message[] {
  return Array.isArray(value) ? (value as Message[]) : [];
}
