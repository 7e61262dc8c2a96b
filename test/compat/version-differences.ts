// What etcd 3.4 answers differently from 3.7, each entry with the documented change behind it.
// Only used when one of the two compared servers is older than 3.7, where the comparison is a check
// of the harness (a difference must be found and explained), not of the server under test.
import type { Operation } from './operations.ts';
import type { Message } from './proto.ts';
import { olderThan } from './servers.ts';
import { type Answer, type Prepared, plain, type Side } from './side.ts';

interface Difference {
  readonly reason: string;
  applies(prepared: Prepared, old: Answer, current: Answer): boolean;
}

/** Requests whose different treatment would last, so an old server is never sent them. */
export function avoidedByOld({ method, request, bytes }: Operation): string | null {
  if (method === 'KV/Compact' && request['revision'] === '0') {
    return 'HashKV(0) then answers the hash kept for that compaction, which 3.4 does not keep';
  }
  if (method === 'KV/RangeStream') return 'new in 3.7';
  if (method === 'Auth/AuthStatus') return 'new in 3.5';
  if (method === 'Auth/RoleGrantPermission' && request['perm'] === undefined) {
    return 'the permission is dereferenced unchecked before 3.5';
  }
  if (method === 'Auth/RoleGrantPermission') return 'bad ranges are accepted before 3.5';
  if (bytes !== undefined && /User|Role|Authenticate|Member/.test(method)) {
    return 'invalid UTF-8 is accepted by the gogo codec up to 3.6';
  }
  if (bytes !== undefined) return 'the gogo codec up to 3.6 has other decoding errors';
  if (plain(request).includes('"range_end":""')) {
    return 'an explicit empty range_end means from-key for the gogo codec up to 3.6';
  }
  if (hasUnknownEnum(request)) return 'the old gateway refuses unknown enum numbers';
  return null;
}

const DIFFERENCES: readonly Difference[] = [
  {
    reason: 'the gateway of 3.4 has other error bodies and status codes',
    applies: ({ via }, old, current) => via === 'json' && errorOf(old) === errorOf(current),
  },
  {
    reason: 'unknown sort options are refused since 3.6',
    applies: (_prepared, _old, current) => current.raw.includes('invalid sort option'),
  },
  {
    reason: 'keys_only reads lose the lease since 3.7',
    applies: (prepared, old, current) =>
      plain(prepared.operation.request).includes('"keys_only":true') &&
      withoutLeases(old) === withoutLeases(current),
  },
  {
    reason: '3.4 checks all puts of a transaction before its ranges, 3.7 goes op by op',
    applies: ({ operation }, old, current) =>
      operation.method === 'KV/Txn' &&
      /key not found|lease not found/.test(old.raw) &&
      /required revision/.test(current.raw),
  },
  {
    reason:
      '3.4 looks for the key of a put in a transaction before its lease, 3.7 as in a plain put',
    applies: ({ operation }, old, current) =>
      operation.method === 'KV/Txn' &&
      old.raw.includes('key not found') &&
      current.raw.includes('lease not found'),
  },
  {
    reason: 'with both alarms raised, 3.4 looks at NOSPACE before CORRUPT',
    applies: (_prepared, old, current) =>
      old.raw.includes('space exceeded') && current.raw.includes('corrupt cluster'),
  },
  {
    reason: 'alarm answers have a header since 3.5',
    applies: ({ operation }, old) =>
      operation.method === 'Maintenance/Alarm' && !old.raw.includes('header'),
  },
  {
    reason: 'Status and HashKV have more fields since 3.6',
    applies: ({ operation, via }, old, current) =>
      /Status$|HashKV/.test(operation.method) &&
      ((via === 'json' && old.outcome.startsWith('http 404')) || subset(old, current)),
  },
];

/** The documented reason for a difference, or null when there is none. */
export function allowedDifference(
  prepared: Prepared,
  sides: readonly Side[],
  answers: readonly [Answer, Answer],
): string | null {
  const firstIsOld = olderThan(sides[0]?.version ?? '', 3, 7);
  const [old, current] = firstIsOld ? answers : [answers[1], answers[0]];
  const found = DIFFERENCES.find((difference) => difference.applies(prepared, old, current));
  return found?.reason ?? null;
}

function errorOf(answer: Answer): string | null {
  const message = answer.messages[0];
  if (message?.['code'] === undefined) return answer.raw;
  return plain({ code: message['code'], message: message['message'] });
}

/** The answers without leases. */
function withoutLeases(answer: Answer): string {
  return answer.messages
    .map(plain)
    .join()
    .replace(/,"lease":"[^"]*"/g, '');
}

/** Whether every top-level field of the old answer but sizes is in the new one. */
function subset(old: Answer, current: Answer): boolean {
  const [a = {}, b = {}] = [old.messages[0], current.messages[0]];
  return Object.entries(a).every(
    ([field, value]) =>
      /^(version|dbSize|dbSizeInUse|errors|raftIndex|raftAppliedIndex)$/.test(field) ||
      plain(value) === plain(b[field]),
  );
}

function hasUnknownEnum(request: Message): boolean {
  return /"(sort_order|sort_target|target|result)":(-1|7|1000|2147483647|[345])\b/.test(
    plain(request),
  );
}
