// Random requests for the twin run: every option of the KV, Lease, Maintenance and Cluster calls,
// valid and invalid, over few keys so that they collide. It sees only what answers told it
// (revision, compaction, leases) and never touches a server.
import type { Message } from './proto.ts';
import { raw } from './proto.ts';
import type { Prng } from './random.ts';

export interface Operation {
  readonly method: string;
  readonly request: Message;
  /** Bytes to send over gRPC instead of the encoded request. */
  readonly bytes?: Buffer;
  readonly grpcOnly?: boolean;
}

/** What the answers so far tell about both servers. */
export interface World {
  revision: bigint;
  compacted: bigint;
  readonly leases: Map<string, bigint>;
}

const I64_MAX = 2n ** 63n - 1n;
const I64_MIN = -(2n ** 63n);
const ODD_NUMBERS = [I64_MAX, I64_MIN, 2n ** 53n, 2n ** 53n + 1n, -1n, -2n, 2n ** 32n, 2n ** 31n];
const VALUES = ['', 'v', 'v', 'w', 'x', '\x00', '\xff\xfe', 'value-'.padEnd(40, 'z')];
const KEYS = [
  ...['a', 'b', 'c', 'd', 'ab', 'abc', 'b/1', 'b/2', 'b/3', 'c/x', 'c/y', 'lease/1', 'lease/2'],
  ...['\x00', '\x00\x00', '\x01', '\xff', '\xff\xff', 'k\x00', 'k\x00\xff', 'k\xff', '\xc3\xa9'],
];
const LEASES = [1n, 2n, 3n, 4n, 5n, 0x1an, -5n, I64_MAX, I64_MIN, 2n ** 53n + 1n];
// Far apart, so that the order of remaining times never depends on how fast a run is.
const TTL_STEP = 100_000n;

const WEIGHTS = {
  put: 26,
  range: 26,
  deleteRange: 6,
  txn: 18,
  compact: 1,
  leaseGrant: 4,
  leaseRevoke: 2,
  timeToLive: 3,
  keepAlive: 2,
  leases: 1,
  hashKv: 1,
  rangeStream: 3,
  status: 1,
  memberList: 1,
  memberChange: 1,
  alarm: 1,
  auth: 1,
  strange: 1,
} as const;

export function randomOperation(prng: Prng, world: World): Operation {
  switch (prng.weighted(WEIGHTS)) {
    case 'put':
      return { method: 'KV/Put', request: put(prng) };
    case 'range':
      return { method: 'KV/Range', request: range(prng, world) };
    case 'deleteRange':
      return { method: 'KV/DeleteRange', request: deleteRange(prng) };
    case 'txn':
      return { method: 'KV/Txn', request: withoutPanic(txn(prng, world, 0)) };
    case 'compact':
      return { method: 'KV/Compact', request: compact(prng, world) };
    case 'leaseGrant':
      return { method: 'Lease/LeaseGrant', request: leaseGrant(prng) };
    case 'leaseRevoke':
      return { method: 'Lease/LeaseRevoke', request: { ID: lease(prng) } };
    case 'timeToLive': {
      const request = { ID: lease(prng), ...some(prng, { keys: true }) };
      return { method: 'Lease/LeaseTimeToLive', request };
    }
    case 'keepAlive':
      return { method: 'Lease/LeaseKeepAlive', request: { ID: lease(prng) } };
    case 'leases':
      return { method: 'Lease/LeaseLeases', request: {} };
    case 'hashKv':
      return { method: 'Maintenance/HashKV', request: { revision: hashRevision(prng, world) } };
    case 'rangeStream':
      return { method: 'KV/RangeStream', request: streamRange(prng, world), grpcOnly: true };
    case 'status':
      return { method: 'Maintenance/Status', request: {} };
    case 'memberList':
      return { method: 'Cluster/MemberList', request: some(prng, { linearizable: true }) };
    case 'memberChange':
      return memberChange(prng);
    case 'alarm': {
      const request = {
        action: prng.pick([0, 0, 2, 1]),
        alarm: prng.pick([0, 1, 2]),
        memberID: '7',
      };
      return { method: 'Maintenance/Alarm', request };
    }
    case 'auth':
      return auth(prng);
    case 'strange':
      return strange(prng);
  }
}

function put(prng: Prng): Message {
  const request: Message = { key: key(prng) };
  if (prng.chance(92)) request['value'] = value(prng);
  if (prng.chance(18)) request['lease'] = lease(prng);
  if (prng.chance(25)) request['prev_kv'] = true;
  if (prng.chance(6)) request['ignore_value'] = true;
  if (prng.chance(6)) request['ignore_lease'] = true;
  if (request['ignore_value'] === true && prng.chance(75)) delete request['value'];
  return request;
}

function range(prng: Prng, world: World): Message {
  const request: Message = { key: key(prng) };
  if (prng.chance(70)) request['range_end'] = rangeEnd(prng);
  if (prng.chance(40)) request['limit'] = prng.pick(['0', '1', '2', '3', '5', '-1', `${I64_MAX}`]);
  if (prng.chance(35)) request['revision'] = revision(prng, world);
  if (prng.chance(35)) request['sort_order'] = enumeration(prng, 3);
  if (prng.chance(35)) request['sort_target'] = enumeration(prng, 5);
  if (prng.chance(20)) request['serializable'] = true;
  if (prng.chance(15)) request['keys_only'] = true;
  if (prng.chance(12)) request['count_only'] = true;
  for (const field of ['min_mod', 'max_mod', 'min_create', 'max_create']) {
    if (prng.chance(7)) request[`${field}_revision`] = revision(prng, world);
  }
  return request;
}

/** Stays within what a stream defines: other sort targets break its chunks in etcd itself. */
function streamRange(prng: Prng, world: World): Message {
  const request = range(prng, world);
  if (request['sort_order'] === undefined || request['sort_order'] === 0) {
    delete request['sort_target'];
  }
  if (String(request['revision'] ?? '').startsWith('-')) delete request['revision'];
  return request;
}

function deleteRange(prng: Prng): Message {
  const request: Message = { key: key(prng) };
  if (prng.chance(35)) request['range_end'] = rangeEnd(prng);
  if (prng.chance(40)) request['prev_kv'] = true;
  return request;
}

function compact(prng: Prng, world: World): Message {
  const span = world.revision - world.compacted;
  const within = world.compacted + (span * BigInt(prng.below(100))) / 100n;
  const chosen = prng.chance(75) ? `${within}` : revision(prng, world);
  return { revision: chosen, ...some(prng, { physical: true }) };
}

function leaseGrant(prng: Prng): Message {
  const ttl = prng.chance(90)
    ? TTL_STEP * BigInt(1 + prng.below(80_000))
    : prng.pick([9_000_000_000n, 9_000_000_001n, I64_MAX]);
  return { ID: lease(prng), TTL: `${ttl}` };
}

function txn(prng: Prng, world: World, depth: number): Message {
  const request: Message = {};
  const count = prng.pick([0, 1, 1, 1, 2, 3]);
  if (count > 0) request['compare'] = times(count, () => compare(prng, world));
  const opCount = () =>
    prng.chance(1) && prng.chance(50) ? 129 : prng.pick([0, 1, 1, 2, 2, 3, 5]);
  for (const branch of ['success', 'failure']) {
    if (prng.chance(20)) continue;
    // Few keys would make most transactions fail as duplicates: each op mostly gets its own.
    const keys = prng.chance(85) ? shuffled(prng, KEYS) : null;
    request[branch] = times(opCount(), (i) => requestOp(prng, world, depth, keys?.[i] ?? null));
  }
  return request;
}

/**
 * etcd: an open-ended delete is not seen as overlapping a put, so a put with ignore_value or
 * ignore_lease may find its key deleted by the same transaction, and etcd 3.7.1 then panics.
 */
function withoutPanic(request: Message): Message {
  const nested = (message: Message): Message[] =>
    [message['success'], message['failure']].flatMap((branch) =>
      ((branch ?? []) as Message[]).flatMap((op) => [
        op,
        ...(op['request_txn'] === undefined ? [] : nested(op['request_txn'] as Message)),
      ]),
    );
  const ops = nested(request);
  const openEnded = ops.some((op) => {
    const end = (op['request_delete_range'] as Message | undefined)?.['range_end'];
    return Buffer.isBuffer(end) && end.equals(Buffer.from([0]));
  });
  if (!openEnded) return request;
  for (const op of ops) {
    const put = op['request_put'] as Message | undefined;
    delete put?.['ignore_value'];
    delete put?.['ignore_lease'];
  }
  return request;
}

function requestOp(prng: Prng, world: World, depth: number, own: string | null): Message {
  const kind = prng.weighted({ put: 40, range: 30, delete: 14, txn: depth < 3 ? 14 : 0, none: 1 });
  const chosen = own === null ? {} : { key: Buffer.from(own, 'latin1') };
  switch (kind) {
    case 'put':
      return { request_put: { ...put(prng), ...chosen } };
    case 'range':
      return { request_range: range(prng, world) };
    case 'delete': {
      const request: Message = { ...deleteRange(prng), ...chosen };
      if (own !== null && prng.chance(80)) delete request['range_end'];
      return { request_delete_range: request };
    }
    case 'txn':
      return { request_txn: txn(prng, world, depth + 1) };
    case 'none':
      return {};
  }
}

function compare(prng: Prng, world: World): Message {
  const target = enumeration(prng, 5);
  const request: Message = { key: key(prng) };
  if (prng.chance(80)) request['result'] = enumeration(prng, 4);
  if (target !== 0 || prng.chance(50)) request['target'] = target;
  if (prng.chance(25)) request['range_end'] = rangeEnd(prng);
  const members = ['version', 'create_revision', 'mod_revision', 'value', 'lease'] as const;
  // The union member normally fits the target; now and then it is another one, or none.
  const fitting = members[target] ?? 'version';
  const member = prng.chance(90) ? fitting : prng.pick(members);
  if (prng.chance(5)) return request;
  if (member === 'value') request['value'] = value(prng);
  else if (member === 'version') request['version'] = prng.pick(['0', '1', '2', `${I64_MAX}`]);
  else if (member === 'lease') request['lease'] = lease(prng);
  else request[member] = prng.chance(40) ? '0' : revision(prng, world);
  return request;
}

/** Changes that are refused: this run must keep its one member. */
function memberChange(prng: Prng): Operation {
  const id = prng.pick(['1', '18446744073709551615', '9007199254740993']);
  const peerURLs = prng.pick([[], [''], ['127.0.0.1:1'], ['http://127.0.0.1:1/x'], ['ftp://a:1']]);
  return prng.pick<Operation>([
    { method: 'Cluster/MemberRemove', request: { ID: id } },
    { method: 'Cluster/MemberUpdate', request: { ID: id, peerURLs: ['http://127.0.0.1:9'] } },
    { method: 'Cluster/MemberPromote', request: { ID: id } },
    { method: 'Cluster/MemberAdd', request: { peerURLs } },
  ]);
}

/** Auth stays off; its store may be edited all the same, and every error is reachable. */
function auth(prng: Prng): Operation {
  const name = prng.pick(['', 'u', 'r', 'nobody']);
  const perm = {
    permType: prng.pick([0, 1, 2]),
    key: key(prng),
    ...(prng.chance(50) ? { range_end: rangeEnd(prng) } : {}),
  };
  return prng.pick<Operation>([
    { method: 'Auth/Authenticate', request: { name, password: 'p' } },
    { method: 'Auth/AuthStatus', request: {} },
    { method: 'Auth/AuthDisable', request: {} },
    { method: 'Auth/AuthEnable', request: {} },
    { method: 'Auth/RoleAdd', request: { name } },
    { method: 'Auth/RoleDelete', request: { role: name } },
    { method: 'Auth/RoleGet', request: { role: name } },
    { method: 'Auth/RoleList', request: {} },
    { method: 'Auth/RoleGrantPermission', request: { name, perm } },
    { method: 'Auth/RoleGrantPermission', request: { name } },
    {
      method: 'Auth/RoleRevokePermission',
      request: { role: name, key: perm.key, range_end: perm.range_end ?? Buffer.alloc(0) },
    },
    { method: 'Auth/UserAdd', request: { name, options: { no_password: true } } },
    { method: 'Auth/UserDelete', request: { name } },
    { method: 'Auth/UserGet', request: { name } },
    { method: 'Auth/UserList', request: {} },
    { method: 'Auth/UserGrantRole', request: { user: name, role: prng.pick(['r', 'u', 'root']) } },
    { method: 'Auth/UserRevokeRole', request: { name, role: prng.pick(['r', 'u', 'root']) } },
  ]);
}

/** Bytes no encoder writes: other field orders, repeats, unknown fields, bad strings. */
function strange(prng: Prng): Operation {
  const bad = Buffer.from([0xc3, 0x28, 0xff]);
  const strings: Operation[] = [
    { method: 'Auth/UserAdd', request: {}, bytes: raw.bytes(1, bad) },
    { method: 'Auth/RoleAdd', request: {}, bytes: raw.bytes(1, bad) },
    { method: 'Auth/Authenticate', request: {}, bytes: raw.bytes(2, bad) },
    { method: 'Cluster/MemberAdd', request: {}, bytes: raw.bytes(1, bad) },
  ];
  const one = raw.bytes(1, Buffer.from('a'));
  const two = raw.bytes(1, Buffer.from('b'));
  const bytes = prng.pick([
    Buffer.alloc(0),
    Buffer.concat([one, two]),
    Buffer.concat([one, raw.int(99, 5)]),
    Buffer.concat([one, raw.bytes(1000, Buffer.from('future'))]),
    Buffer.concat([raw.int(3, 2), one, raw.int(3, 1)]),
    Buffer.concat([one, raw.bytes(2, Buffer.alloc(0))]),
    // A varint field sent with the length-delimited wire type.
    Buffer.concat([one, raw.bytes(3, Buffer.from('x'))]),
    Buffer.concat([one, raw.int(7, 2n ** 40n)]),
    Buffer.from([0x0a]),
    Buffer.from([0x0a, 0x05, 0x61]),
    Buffer.from([0x00]),
    Buffer.from([0xff, 0xff, 0xff]),
    Buffer.concat([one, Buffer.from([0x18, ...Array<number>(10).fill(0xff), 0x01])]),
  ]);
  const garbage: Operation = { method: 'KV/Range', request: {}, bytes };
  return { ...(prng.chance(40) ? prng.pick(strings) : garbage), grpcOnly: true };
}

function key(prng: Prng): Buffer {
  if (prng.chance(2)) return Buffer.alloc(0);
  if (prng.chance(90)) return Buffer.from(prng.pick(KEYS), 'latin1');
  const bytes = times(1 + prng.below(3), () => prng.pick([0, 0x61, 0x62, 0xfe, 0xff]));
  return Buffer.from(bytes);
}

function rangeEnd(prng: Prng): Buffer {
  if (prng.chance(40)) return Buffer.from([0]);
  return key(prng);
}

function value(prng: Prng): Buffer {
  if (prng.chance(5)) return Buffer.alloc(1000 + prng.below(1000), prng.below(256));
  return Buffer.from(prng.pick(VALUES), 'latin1');
}

function lease(prng: Prng): string {
  return `${prng.pick(LEASES)}`;
}

/** Around everything that matters: now, the future, the compaction, and the far ends of int64. */
function revision(prng: Prng, world: World): string {
  const { revision: now, compacted } = world;
  const spread = BigInt(prng.below(30));
  return `${prng.pick([
    ...[0n, now, now - spread, now - spread, now + 1n, now + spread, 1n, 2n],
    ...[compacted, compacted - 1n, compacted + 1n, prng.pick(ODD_NUMBERS)],
  ])}`;
}

/** HashKV tells the revision back, where ours is cut to 53 bits: see docs/compat.md. */
function hashRevision(prng: Prng, world: World): string {
  const chosen = revision(prng, world);
  return chosen === `${I64_MIN}` ? '-3' : chosen;
}

/** A valid enum number, or now and then an unknown one. */
function enumeration(prng: Prng, count: number): number {
  return prng.chance(95) ? prng.below(count) : prng.pick([count, 7, 1000, -1, 2 ** 31 - 1]);
}

function some(prng: Prng, fields: Message): Message {
  return prng.chance(50) ? fields : {};
}

function shuffled(prng: Prng, from: readonly string[]): string[] {
  const copy = [...from];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    const [a = '', b = ''] = [copy[i], copy[j]];
    copy[i] = b;
    copy[j] = a;
  }
  return copy;
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_unused, i) => make(i));
}
