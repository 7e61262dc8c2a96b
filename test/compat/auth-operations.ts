// Random requests for the twin run under authentication: users, roles and permissions, valid and
// not, over few names so that they collide, and permissions over the keys that the other requests
// use. It knows passwords, since it chose them, and never touches a server.
import { type Operation, randomOperation, type World } from './operations.ts';
import type { Message } from './proto.ts';
import type { Prng } from './random.ts';

export interface AuthWorld extends World {
  /** Whether the last answers said so; only roughly true while a test runs. */
  enabled: boolean;
  /** The passwords of users that there are; `null` for one that cannot log in. */
  readonly passwords: Map<string, string | null>;
  locks: number;
}

export const ROOT = 'root';
const USERS = ['u', 'v', 'w', 'é✓'];
const ROLES = ['r', 's', 't'];
const PASSWORDS = ['p', 'q', '', 'ü'.repeat(36), 'x'.repeat(72), 'x'.repeat(73), 'nul\0'];
/** "secret", hashed elsewhere, as a client may send it. */
const HASHED = '$2a$04$MiapH0DfdcKltIXeOKQ/euCz1N4vKMJ62eyr57qcoETOd3o33Rzvu';
const KEYS = ['a', 'b', 'b/', 'b/1', 'c', 'c/x', 'k\x00', '\x00', '\xff', '\xff\xff', 'lease/1'];
const ENDS = ['\x00', 'b', 'b0', 'c', 'c/y', 'd', '\x01', '\xff', '\xff\xff', '\xff\xff\xff', 'z'];

const WEIGHTS = {
  grant: 22,
  revoke: 8,
  roleAdd: 8,
  roleDelete: 3,
  userAdd: 10,
  userDelete: 3,
  password: 5,
  grantRole: 16,
  revokeRole: 6,
  get: 12,
  list: 6,
  status: 4,
} as const;

/** A request of anything but Auth. */
export function randomRequest(prng: Prng, world: AuthWorld): Operation {
  if (prng.chance(8)) return rareRequest(prng, world);
  for (;;) {
    const operation = randomOperation(prng, world);
    const { method } = operation;
    // Auth has its own; garbled bytes are compared without it; alarms stay off.
    if (method.startsWith('Auth/') || operation.bytes !== undefined) continue;
    if (method === 'Maintenance/Alarm') operation.request['action'] = prng.pick([0, 2]);
    return operation;
  }
}

function rareRequest(prng: Prng, world: AuthWorld): Operation {
  world.locks += 1;
  const lease = prng.pick(['1', '2', '3', '4', '5']);
  return prng.pick<Operation>([
    { method: 'Maintenance/Defragment', request: {} },
    { method: 'Maintenance/MoveLeader', request: { targetID: '5' } },
    { method: 'Maintenance/Downgrade', request: { action: 0, version: prng.pick(['3.6.0', 'x']) } },
    { method: 'Maintenance/Snapshot', request: {}, grpcOnly: true },
    { method: 'Lock/Lock', request: { name: Buffer.from(`b/${world.locks}`), lease } },
    { method: 'Lock/Unlock', request: { key: Buffer.from(prng.pick(KEYS), 'latin1') } },
    { method: 'Election/Leader', request: { name: Buffer.from(prng.pick(KEYS), 'latin1') } },
  ]);
}

/** A change of users, roles and permissions, or a look at them. */
export function randomManagement(prng: Prng): Operation {
  const user = prng.pick([...USERS, ...USERS, ROOT, '', 'nobody']);
  const role = prng.pick([...ROLES, ...ROLES, ROOT, '', 'nothing']);
  switch (prng.weighted(WEIGHTS)) {
    case 'grant': {
      const request: Message = { name: role };
      if (prng.chance(97)) request['perm'] = permission(prng);
      return { method: 'Auth/RoleGrantPermission', request };
    }
    case 'revoke': {
      const { key, range_end } = permission(prng);
      const request = { role, key, ...(range_end === undefined ? {} : { range_end }) };
      return { method: 'Auth/RoleRevokePermission', request };
    }
    case 'roleAdd':
      return { method: 'Auth/RoleAdd', request: { name: role } };
    case 'roleDelete':
      return { method: 'Auth/RoleDelete', request: { role } };
    case 'userAdd':
      return { method: 'Auth/UserAdd', request: { name: user, ...newPassword(prng, user, true) } };
    case 'userDelete':
      return { method: 'Auth/UserDelete', request: { name: user } };
    case 'password': {
      const request = { name: user, ...newPassword(prng, user, false) };
      return { method: 'Auth/UserChangePassword', request };
    }
    case 'grantRole':
      return { method: 'Auth/UserGrantRole', request: { user, role } };
    case 'revokeRole':
      return { method: 'Auth/UserRevokeRole', request: { name: user, role } };
    case 'get':
      return prng.chance(50)
        ? { method: 'Auth/UserGet', request: { name: user } }
        : { method: 'Auth/RoleGet', request: { role } };
    case 'list':
      return { method: prng.pick(['Auth/UserList', 'Auth/RoleList']), request: {} };
    case 'status':
      return { method: 'Auth/AuthStatus', request: {} };
  }
}

/** What makes enabling possible, whatever there is; root then has the password `p`. */
export function readyToEnable(): readonly Operation[] {
  return [
    { method: 'Auth/UserDelete', request: { name: ROOT } },
    { method: 'Auth/UserAdd', request: { name: ROOT, password: 'p' } },
    { method: 'Auth/RoleAdd', request: { name: ROOT } },
    { method: 'Auth/UserGrantRole', request: { user: ROOT, role: ROOT } },
    { method: 'Auth/AuthEnable', request: {} },
  ];
}

/** Users who may do some of it, so that permissions count from the first request on. */
export function firstUsers(prng: Prng): readonly Operation[] {
  const roles = ROLES.flatMap<Operation>((name) => [
    { method: 'Auth/RoleAdd', request: { name } },
    ...[1, 2, 3].map(() => ({
      method: 'Auth/RoleGrantPermission',
      request: { name, perm: permission(prng) },
    })),
  ]);
  const users = USERS.flatMap<Operation>((name) => [
    { method: 'Auth/UserAdd', request: { name, password: 'p' } },
    { method: 'Auth/UserGrantRole', request: { user: name, role: prng.pick(ROLES) } },
    { method: 'Auth/UserGrantRole', request: { user: name, role: prng.pick(ROLES) } },
  ]);
  return [...roles, ...users];
}

/** Mostly a login that works. */
export function randomLogin(prng: Prng, world: AuthWorld): Operation {
  const name = prng.pick([...USERS, ...USERS, ROOT, 'nobody', '']);
  const known = world.passwords.get(name);
  const password = prng.chance(85) && typeof known === 'string' ? known : prng.pick(PASSWORDS);
  return { method: 'Auth/Authenticate', request: { name, password } };
}

/** Takes in what a change that worked did to the passwords. */
export function learnPasswords(world: AuthWorld, { method, request }: Operation): void {
  const name = String(request['name']);
  if (method === 'Auth/UserDelete') world.passwords.delete(name);
  const password = String(request['password'] ?? '');
  const options = request['options'] as Message | undefined;
  if (method === 'Auth/UserAdd') {
    world.passwords.set(name, options?.['no_password'] === true ? null : password);
  }
  if (method === 'Auth/UserChangePassword' && typeof world.passwords.get(name) === 'string') {
    const hashed = request['hashedPassword'] !== undefined && password === '';
    world.passwords.set(name, hashed ? 'secret' : password);
  }
}

function permission(prng: Prng): Message {
  const perm: Message = { key: Buffer.from(prng.chance(3) ? '' : prng.pick(KEYS), 'latin1') };
  if (prng.chance(75)) perm['permType'] = prng.chance(97) ? prng.below(3) : 7;
  if (prng.chance(60)) perm['range_end'] = Buffer.from(prng.pick(ENDS), 'latin1');
  return perm;
}

function newPassword(prng: Prng, user: string, isNew: boolean): Message {
  // Root keeps a password that is known, or the run would end there.
  if (user === ROOT) return { password: prng.pick(['p', 'q']) };
  const request: Message = {};
  if (prng.chance(85)) request['password'] = prng.pick(PASSWORDS);
  if (prng.chance(12)) {
    const hash = prng.pick([Buffer.from(HASHED).toString('base64'), 'no base64!', '', 'YWJj']);
    request['hashedPassword'] = hash;
  }
  if (isNew && prng.chance(12)) request['options'] = { no_password: prng.chance(70) };
  return request;
}

/** How a token travels. */
export type Carrier = (token: string) => Readonly<Record<string, string>>;

export function randomCarrier(prng: Prng, via: 'grpc' | 'json'): Carrier {
  if (via === 'grpc') {
    return prng.pick<Carrier>([
      (token) => ({ token }),
      (token) => ({ token }),
      (token) => ({ authorization: token }),
      (token) => ({ authorization: `Bearer ${token}` }),
      (token) => ({ token: `Bearer ${token}` }),
      (token) => ({ token, authorization: 'other' }),
      (token) => ({ authorization: `bearer ${token}` }),
    ]);
  }
  return prng.pick<Carrier>([
    (token) => ({ authorization: token }),
    (token) => ({ authorization: token }),
    (token) => ({ authorization: `Bearer ${token}` }),
    (token) => ({ 'grpc-metadata-token': token }),
    (token) => ({ 'grpc-metadata-token': token, authorization: 'other' }),
    (token) => ({ authorization: `Bearer  ${token}` }),
  ]);
}

export const GARBAGE_TOKENS: readonly string[] = [
  ...['nope', 'a.b', 'a.b.c', 'abc.1', '.', 'abc.-1', 'abc.00', 'Bearer', 'abc.1.'],
  'eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJ1c2VybmFtZSI6InJvb3QiLCJyZXZpc2lvbiI6MX0.',
];
